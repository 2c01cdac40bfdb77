//! How old a Bitbucket server is.

use serde_json::Value;

use crate::http::{self, Request};
use crate::services::{Level, log};

/// Whether the server at an endpoint is older than Data Center 8.0, the first that knows builds as cancelled and unknown. Anybody may ask for its version;
/// one that does not say it is taken for a newer one. *Fetches.*
pub fn is_before_8(endpoint: &str) -> bool {
    let answer = http::query(Request::new(endpoint, "GET", ["rest", "api", "1.0", "application-properties"]));
    let properties: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let major = properties["version"].as_str().and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    if major.is_none() && answer.status != 0 {
        log(Level::Info, &format!("the server does not say its version, and is taken for 8.0 or newer: the answer was {}", answer.status));
    }
    major.is_some_and(|major| major < 8)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::delivery::Answer;
    use crate::testing;

    #[test]
    fn versions() {
        for (status, body, is_old) in [
            (200, json!({"version": "7.21.16", "displayName": "Bitbucket"}), true),
            (200, json!({"version": "8.0.0"}), false),
            (200, json!({"version": "10.1.2"}), false),
            (200, json!({"version": "next"}), false),
            (404, json!({}), false),
            (0, json!({}), false),
        ] {
            let answer = Answer { status, headers: Vec::new(), body: body.to_string().into_bytes(), ended: "answered".into() };
            testing::remote(move |request| {
                assert_eq!((request.endpoint.as_str(), request.path.join("/").as_str()), ("server", "rest/api/1.0/application-properties"));
                answer.clone()
            });
            assert_eq!(is_before_8("server"), is_old, "{body}");
        }
    }
}
