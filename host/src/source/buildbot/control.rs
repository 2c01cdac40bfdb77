//! Control calls: JSON-RPC 2.0 by POST, as the master's own pages make them; and shutting down, which the API does not have.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use super::Master;
use super::rest::{Rest, RestError};
use crate::event::{Acted, Rows};
use crate::source::lenient;

/// The path of what is the host's own.
pub(super) const SHUTDOWN: &str = "shutdown";
/// How long a command for a shutdown may take.
const COMMAND: Duration = Duration::from_secs(20);
/// What a worker's reason begins with that was paused for a shutdown.
const PAUSED: &str = "reporter-host: clean shutdown";

impl Master {
    pub(super) async fn control(&self, path: &str, method: &str, parameters: Value) -> Acted {
        match path {
            SHUTDOWN => self.shutdown(method, &parameters).await,
            _ => call(&self.rest, path, method, parameters).await,
        }
    }

    /// Whether it is shutting down, as far as that can be seen. What a command has begun cannot.
    pub(super) async fn shutdown_state(&self) -> Result<Rows, RestError> {
        let workers = self.rest.rows("workers").await?;
        let paused = workers.iter().filter(|worker| is_ours(worker)).count();
        let open = workers.iter().filter(|worker| takes_builds(worker)).count();
        let state = match (paused, open) {
            (0, _) if self.settings.shutdown_command.is_some() => "up; whether it is shutting down cannot be seen from outside".to_owned(),
            (0, _) => "running".to_owned(),
            (_, 0) => "shutting down".to_owned(),
            _ => format!("running, with {paused} of {} paused", workers_in_words(paused + open)),
        };
        Ok(vec![json!({"state": state, "paused": paused})])
    }

    async fn shutdown(&self, method: &str, parameters: &Value) -> Acted {
        match (method, &self.settings.shutdown_command, &self.settings.stop_command) {
            ("start", Some(command), _) => run(command, "is shutting down: the command for it ran").await,
            ("start", None, _) => self.pause(parameters["reason"].as_str().unwrap_or_default()).await,
            ("stop", ..) => self.unpause().await,
            ("now", _, Some(command)) => run(command, "is being stopped: the command for it ran").await,
            ("now", _, None) => Acted::Refused(
                501,
                "the master has no way to be ended from outside; whoever runs reporter-host can give it a command: stop_command of [[masters]]".into(),
            ),
            _ => Acted::Refused(501, format!("there is no {method}; there are start, stop and now")),
        }
    }

    /// No worker takes new builds: those that run end.
    async fn pause(&self, reason: &str) -> Acted {
        let reason = format!("{PAUSED}, {reason}");
        match self.each_worker("pause", "paused", takes_builds, &json!({"reason": reason})).await {
            Ok(0) => Acted::Refused(409, "all of its workers are paused already".into()),
            Ok(paused) => Acted::Done(json!(format!(
                "takes no new builds: {} paused; end it when its builds have ended, or take it back with shutdown stop",
                are(paused)
            ))),
            Err(failed) => failed,
        }
    }

    async fn unpause(&self) -> Acted {
        match self.each_worker("unpause", "unpaused", is_ours, &json!({})).await {
            Ok(0) if self.settings.shutdown_command.is_some() => {
                Acted::Refused(409, "a shutdown that the master's own command began cannot be taken back from outside".into())
            }
            Ok(0) => Acted::Refused(409, "there is no shutdown that could be taken back".into()),
            Ok(unpaused) => Acted::Done(json!(format!("takes builds again: {} unpaused", are(unpaused)))),
            Err(failed) => failed,
        }
    }

    /// Calls `method` on each of the workers that are `wanted`. How many there were; or what failed, with what was done all the same. One that
    /// refuses does not keep the others from it; a master that is gone does.
    async fn each_worker(&self, method: &str, done: &str, wanted: impl Fn(&Value) -> bool, parameters: &Value) -> Result<usize, Acted> {
        let mut workers = self.rest.rows("workers").await.map_err(|error| refused(&error))?;
        workers.retain(wanted);
        let (mut changed, mut refusals, mut status) = (0, Vec::new(), 0);
        for worker in &workers {
            let of = |count: usize| format!("{count} of {} are {done}", workers_in_words(workers.len()));
            let named = |why: String| format!("{}: {why}", worker["name"].as_str().unwrap_or_default());
            match call(&self.rest, &format!("workers/{}", worker["workerid"]), method, parameters.clone()).await {
                Acted::Done(_) => changed += 1,
                Acted::Refused(of_this, why) => {
                    status = of_this;
                    refusals.push(named(why));
                }
                Acted::NotAsked(why) if changed == 0 => return Err(Acted::NotAsked(why)),
                Acted::NotAsked(why) | Acted::Lost(why) => return Err(Acted::Lost(format!("{}, then {}", of(changed), named(why)))),
            }
        }
        match (refusals.len(), changed) {
            (0, _) => Ok(changed),
            (_, 0) => Err(Acted::Refused(status, format!("no worker is {done}; {}", refusals.join("; ")))),
            _ => Err(Acted::Refused(status, format!("only {changed} of {} are {done}, and stay so; {}", workers_in_words(workers.len()), refusals.join("; ")))),
        }
    }
}

fn workers_in_words(count: usize) -> String {
    if count == 1 { "1 worker".into() } else { format!("{count} workers") }
}

fn are(count: usize) -> String {
    format!("{} {}", workers_in_words(count), if count == 1 { "is" } else { "are" })
}

fn takes_builds(worker: &Value) -> bool {
    worker["paused"] != true && worker["configured_on"].as_array().is_some_and(|on| !on.is_empty())
}

fn is_ours(worker: &Value) -> bool {
    worker["paused"] == true && worker["pause_reason"].as_str().is_some_and(|reason| reason.starts_with(PAUSED))
}

fn refused(error: &RestError) -> Acted {
    match error {
        RestError::Away(why) => Acted::NotAsked(why.clone()),
        RestError::Refused(why) => Acted::Refused(403, why.clone()),
        RestError::Missing(why) => Acted::Refused(404, why.clone()),
    }
}

async fn call(rest: &Rest, path: &str, method: &str, parameters: Value) -> Acted {
    let body = json!({"jsonrpc": "2.0", "method": method, "id": 1, "params": parameters});
    let (status, answer) = match rest.post(&format!("api/v2/{path}"), &body).await {
        Ok(answered) => answered,
        Err(acted) => return acted,
    };
    read(status, &answer)
}

/// What an answer to a call says. Gateways answer 502 and 504 too when the master took the call and they did not hear what came of it.
fn read(status: u16, body: &[u8]) -> Acted {
    let said = || format!("it answers {status}: {}", String::from_utf8_lossy(body).chars().take(200).collect::<String>());
    let answer = match lenient::read(body) {
        Ok(answer) => answer,
        Err(_) if matches!(status, 502 | 504) => return Acted::Lost(said()),
        Err(_) => return Acted::Refused(status, said()),
    };
    match (status, answer.get("error")) {
        (200..=299, None) => Acted::Done(answer.get("result").cloned().unwrap_or(Value::Null)),
        // A gateway's own page may be JSON; an error of the protocol is an object.
        (502 | 504, Some(Value::String(_))) => Acted::Lost(said()),
        (_, Some(error)) => match error.get("message").unwrap_or(error) {
            Value::String(text) => Acted::Refused(status, text.clone()),
            fields => Acted::Refused(status, fields.to_string()),
        },
        (502 | 504, None) => Acted::Lost(said()),
        (_, None) => Acted::Refused(status, format!("it answers {status}")),
    }
}

/// Runs a command of the operator's, without a shell.
async fn run(command: &[String], done: &str) -> Acted {
    let Some((program, arguments)) = command.split_first() else { return Acted::Refused(501, "the command for it is empty".into()) };
    let mut child = tokio::process::Command::new(program);
    child.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(false);
    let child = match child.spawn() {
        Ok(child) => child,
        Err(error) => return Acted::NotAsked(format!("{program} cannot be started: {error}")),
    };
    match tokio::time::timeout(COMMAND, child.wait_with_output()).await {
        Ok(Ok(output)) if output.status.success() => Acted::Done(json!(done)),
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.trim().lines().last().unwrap_or_default().chars().take(200).collect::<String>();
            Acted::Refused(500, format!("{program} ended with {}: {said}", output.status))
        }
        Ok(Err(error)) => Acted::Lost(format!("{program}: {error}")),
        Err(_) => Acted::Lost(format!("{program} did not end within {} seconds", COMMAND.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_heard_nothing_is_no_refusal() {
        for status in [502, 504] {
            assert!(matches!(read(status, b"<html>Bad Gateway</html>"), Acted::Lost(why) if why.contains("Bad Gateway")));
            assert!(matches!(read(status, b"{}"), Acted::Lost(_)));
            assert!(matches!(read(status, br#"{"error": "upstream"}"#), Acted::Lost(_)));
            assert_eq!(read(status, br#"{"error": {"message": "no"}}"#), Acted::Refused(status, "no".into()), "the master itself says so");
        }
        assert!(matches!(read(503, b"busy"), Acted::Refused(503, _)));
        assert!(matches!(read(200, b"<html>"), Acted::Refused(200, _)));
        assert_eq!(read(200, br#"{"result": [1, {}]}"#), Acted::Done(json!([1, {}])));
        assert_eq!(read(200, br#"{"result": {"load": NaN, "file": "\udcff"}}"#), Acted::Done(json!({"load": null, "file": "\u{fffd}"})), "it was done");
    }
}
