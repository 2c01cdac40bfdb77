//! Reading and acting on the masters that the entry follows; for reporters that hold conversations.

use serde_json::Value;

use crate::delivery::{Answer, Terms};

/// The names of the masters, in the order of the settings.
pub fn names() -> Vec<String> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::chat::reporter_host::reporter::master::names();
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::master_names()
}

/// Reads from a master's REST API. The answer's body is a JSON list; its status is 200, 404, or 0 when the master cannot be reached now. *Fetches.*
pub fn get(master: &str, path: &[&str], query: &[(&str, &str)]) -> Answer {
    let path: Vec<String> = path.iter().map(|&segment| segment.to_owned()).collect();
    let query: Vec<(String, String)> = query.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::chat::reporter_host::reporter::master::get(master, &path, &query);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::answer_master(master, &path, &query)
}

/// Queues a control call, which is sent once whatever comes of it. The title of the terms is the line of the audit log.
pub fn act(master: &str, path: &[&str], method: &str, parameters: &Value, terms: Terms) {
    let path: Vec<String> = path.iter().map(|&segment| segment.to_owned()).collect();
    #[cfg(target_arch = "wasm32")]
    crate::bindings::chat::reporter_host::reporter::master::act(master, &path, method, &crate::json_text(parameters), terms.into_host());
    #[cfg(not(target_arch = "wasm32"))]
    {
        let (master, method, parameters) = (master.into(), method.into(), parameters.clone());
        crate::testing::record(crate::testing::Delivery::Act { master, path, method, parameters, terms });
    }
}
