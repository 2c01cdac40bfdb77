//! `ssh`: commands on the plan's servers.

use std::sync::Arc;

use wasmtime::component::Resource;

use super::budget::PART;
use super::call::{Call, Ended, Phase};
use super::delivery::Terms;
use super::log::shortened;
use super::reporter::reporter_host::reporter::delivery::Answer as Answered;
use super::reporter::reporter_host::reporter::ssh::{Command, Host};
use crate::transport::ssh::{check_command, names};
use crate::transport::{self, Endpoint, EndpointKind, Payload, SshCommand};

impl Host for Call {
    fn send(&mut self, command: Command, terms: Resource<Terms>) -> wasmtime::Result<()> {
        self.only(&[Phase::Report], "ssh.send")?;
        let (entry, endpoint) = self.endpoint(&command.endpoint)?;
        let bytes = size(&command);
        let command = checked(command, &endpoint, false)?;
        self.queue(&entry, &endpoint, Payload::Ssh(command), bytes, terms)
    }

    async fn query(&mut self, command: Command) -> wasmtime::Result<Answered> {
        self.only(&[Phase::Report], "ssh.query")?;
        self.budget.query()?;
        let (entry, endpoint) = self.endpoint(&command.endpoint)?;
        let command = checked(command, &endpoint, true)?;
        let answer = self.wait(entry.ask.run(&endpoint, &command, entry.vault.as_ref())).await;
        if let Some(failed) = &answer.error {
            return Err(match failed.kind {
                transport::FailedKind::Never => Ended::Misuse(failed.message.clone()),
                _ => Ended::NotNow(format!("{}: {}", endpoint.destination(), failed.message)),
            }
            .into());
        }
        self.budget.read(answer.body.len())?;
        Ok(Answered { status: answer.status, headers: answer.headers, body: answer.body, ended: "answered".into() })
    }
}

/// What a command counts for: its bytes, and what the host needs to hold each of its parts.
fn size(command: &Command) -> usize {
    command.stdin.len() + command.words.iter().chain(&command.arguments).map(|text| text.len() + PART).sum::<usize>()
}

/// The command as it will stand in the outbox, if the endpoint names it and it can be run at all.
fn checked(command: Command, endpoint: &Arc<Endpoint>, asks: bool) -> Result<SshCommand, Ended> {
    let EndpointKind::Ssh(server) = &endpoint.kind else {
        return Err(Ended::Misuse(format!("it sent a command to endpoint {:?}, which is of another kind", endpoint.name)));
    };
    let granted = if asks { &server.queries } else { &server.commands };
    if !names(granted, &command.words) {
        let list = if asks { "queries" } else { "commands" };
        let (words, there) = (shortened(command.words.join(" ")), granted.join(", "));
        return Err(Ended::Misuse(format!("it ran {words:?}, which is not among the {list} of endpoint {:?}: {there}", endpoint.name)));
    }
    let command = SshCommand { words: command.words, arguments: command.arguments, stdin: command.stdin };
    match check_command(&command) {
        Ok(()) => Ok(command),
        Err(wrong) => Err(Ended::Misuse(format!("its command cannot be run: {wrong}"))),
    }
}
