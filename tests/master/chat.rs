//! What conversations need of a real Buildbot master.

use std::path::Path;

use serde_json::Value;

use crate::buildbot::Buildbot;

impl Buildbot {
    /// The settings of a host that follows it at this port, and that would end it by making this file.
    pub fn source(&self, port: u16, stopped: &Path) -> String {
        format!(
            "[[masters]]\nurl = 'http://127.0.0.1:{}/'\nuser = 'admin'\npassword = 'secret'\npoll_every = '1 s'\nstop_command = ['touch', '{}']\n",
            port,
            stopped.display()
        )
    }

    /// The property of a build, without its source.
    pub async fn property(&self, build: i64, name: &str) -> Value {
        self.rows(&format!("builds/{build}/properties")).await[0][name][0].clone()
    }
}
