//! GitHub's own description of its API: does a request have an operation, its parameters and a body that fits?
//!
//! The description is that of npm's package `@octokit/openapi`, which `tests/run forges` unpacks below the target folder.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use reporter_host_tests::server::Post;
use serde_json::{Value, json};

/// Checks a request that came below `prefix`.
///
/// # Errors
///
/// What the description does not have.
pub fn check(post: &Post, prefix: &str) -> Result<(), String> {
    let api = description();
    let path = post.path().strip_prefix(prefix).ok_or_else(|| format!("{} is not below {prefix}", post.path()))?;
    let (template, item) = operations(api, path).ok_or_else(|| format!("GitHub's description has no path {path}"))?;
    let method = post.method.as_str().to_lowercase();
    let operation = item.get(&method).ok_or_else(|| format!("{template} has no {}", post.method))?;
    parameters(api, &template, path, post, item, operation)?;
    body(api, post, operation).map_err(|why| format!("{} {template}: {why}", post.method))
}

/// Fails the test at once if there is no description: a server that cannot check would look like one that is down, which the host waits for.
pub fn is_there() {
    description();
}

/// The description, read once.
fn description() -> &'static Value {
    static READ: OnceLock<Value> = OnceLock::new();
    READ.get_or_init(|| {
        let by_default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/octokit-openapi/api.github.com.json");
        let file = std::env::var_os("OCTOKIT_OPENAPI").map_or_else(by_default, PathBuf::from);
        let text = std::fs::read(&file).unwrap_or_else(|error| {
            panic!(
                "{}: {error}; set OCTOKIT_OPENAPI to the file api.github.com.json of npm's @octokit/openapi, or let `tests/run forges` fetch it",
                file.display()
            )
        });
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    })
}

/// The path that fits best: the one with the fewest parameters.
fn operations<'a>(api: &'a Value, path: &str) -> Option<(String, &'a Value)> {
    let segments: Vec<&str> = path.split('/').collect();
    let is_parameter = |part: &str| part.starts_with('{');
    let fits = |template: &str| {
        let parts: Vec<&str> = template.split('/').collect();
        parts.len() == segments.len() && parts.iter().zip(&segments).all(|(part, segment)| is_parameter(part) && !segment.is_empty() || part == segment)
    };
    let all = api["paths"].as_object()?.iter().filter(|(template, _)| fits(template));
    all.min_by_key(|(template, _)| template.split('/').filter(|part| is_parameter(part)).count()).map(|(template, item)| (template.clone(), item))
}

/// Follows a reference within the description.
fn resolved<'a>(api: &'a Value, value: &'a Value) -> &'a Value {
    value["$ref"].as_str().and_then(|reference| api.pointer(reference.strip_prefix('#')?)).unwrap_or(value)
}

fn parameters(api: &Value, template: &str, path: &str, post: &Post, item: &Value, operation: &Value) -> Result<(), String> {
    let lists = [&item["parameters"], &operation["parameters"]];
    let known: Vec<&Value> = lists.into_iter().filter_map(Value::as_array).flatten().map(|one| resolved(api, one)).collect();
    let in_path = template.split('/').zip(path.split('/')).filter_map(|(part, segment)| Some((part.strip_prefix('{')?.strip_suffix('}')?, segment)));
    let in_query: Vec<(String, String)> = post.query().into_iter().collect();
    let given = in_path.map(|(name, value)| ("path", name, value)).chain(in_query.iter().map(|(name, value)| ("query", name.as_str(), value.as_str())));
    for (place, name, value) in given {
        let Some(parameter) = known.iter().find(|one| one["in"] == place && one["name"] == name) else {
            return Err(format!("{template} has no parameter {name} in its {place}"));
        };
        if parameter["schema"]["type"] == "integer" && value.parse::<i64>().is_err() {
            return Err(format!("{template}: {name} is a number, not {value}"));
        }
    }
    match known.iter().find(|one| one["in"] == "query" && one["required"] == true && !in_query.iter().any(|(name, _)| one["name"] == *name)) {
        Some(missing) => Err(format!("{template} needs the parameter {}", missing["name"])),
        None => Ok(()),
    }
}

fn body(api: &Value, post: &Post, operation: &Value) -> Result<(), String> {
    let described = resolved(api, &operation["requestBody"]);
    let Some(schema) = described.pointer("/content/application~1json/schema") else {
        return if post.body.is_empty() { Ok(()) } else { Err("it has no body".into()) };
    };
    if post.headers.get("content-type").is_none_or(|kind| !kind.to_str().is_ok_and(|kind| kind.starts_with("application/json"))) {
        return Err("its body is JSON".into());
    }
    let body: Value = serde_json::from_str(&post.body).map_err(|error| error.to_string())?;
    // What the description does not name, GitHub ignores: nobody would notice a misspelling.
    let properties = resolved(api, schema)["properties"].as_object();
    if let Some(unknown) = body.as_object().into_iter().flatten().map(|(key, _)| key).find(|key| properties.is_none_or(|known| !known.contains_key(*key))) {
        return Err(format!("the body has no member {unknown}"));
    }
    let mut whole = json!({"allOf": [schema]});
    if let Some(schema) = whole.get_mut("allOf") {
        with_null(schema);
    }
    if whole.to_string().contains("\"$ref\"") {
        whole["components"] = api["components"].clone();
    }
    let validator = jsonschema::validator_for(&whole).map_err(|error| error.to_string())?;
    let wrong: Vec<String> = validator.iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// OpenAPI 3.0 says `nullable` where JSON Schema has the type null.
fn with_null(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("nullable") == Some(&json!(true))
                && let Some(kind @ Value::String(_)) = object.get("type").cloned()
            {
                object.insert("type".into(), json!([kind, "null"]));
            }
            object.values_mut().for_each(with_null);
        }
        Value::Array(items) => items.iter_mut().for_each(with_null),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, target: &str, body: &str) -> Result<(), String> {
        let headers = [("content-type", "application/json")].into_iter().filter(|_| !body.is_empty());
        let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        check(&Post { method: method.parse().unwrap(), target: target.into(), headers, body: body.into() }, "/api/v3")
    }

    /// The check has to refuse, or it shows nothing.
    #[test]
    fn what_github_does_not_have_is_refused() {
        assert_eq!(request("POST", "/api/v3/repos/o/r/statuses/abc", r#"{"state": "success", "target_url": null}"#), Ok(()));
        assert_eq!(request("GET", "/api/v3/repos/o/r/issues/7/comments?per_page=100&page=2", ""), Ok(()));
        assert_eq!(request("PATCH", "/api/v3/repos/o/r/issues/comments/7", r#"{"body": "x"}"#), Ok(()));
        assert_eq!(request("DELETE", "/api/v3/repos/o/r/issues/comments/7", ""), Ok(()));
        for (method, target, body, why) in [
            ("POST", "/repos/o/r/statuses/abc", r#"{"state": "success"}"#, "not below"),
            ("POST", "/api/v3/repos/o/sub/r/statuses/abc", r#"{"state": "success"}"#, "no path"),
            ("POST", "/api/v3/repos/o//statuses/abc", r#"{"state": "success"}"#, "no path"),
            ("PUT", "/api/v3/repos/o/r/statuses/abc", r#"{"state": "success"}"#, "has no PUT"),
            ("POST", "/api/v3/repos/o/r/statuses/abc", r#"{"description": "x"}"#, "required"),
            ("POST", "/api/v3/repos/o/r/statuses/abc", r#"{"state": "running"}"#, "/state"),
            ("POST", "/api/v3/repos/o/r/statuses/abc", r#"{"state": "success", "targetUrl": "x"}"#, "targetUrl"),
            ("POST", "/api/v3/repos/o/r/statuses/abc", "", "JSON"),
            ("POST", "/api/v3/repos/o/r/issues/None/comments", r#"{"body": "x"}"#, "issue_number is a number"),
            ("POST", "/api/v3/repos/o/r/issues/7/comments", r#"{"body": 7}"#, "/body"),
            ("GET", "/api/v3/repos/o/r/issues/7/comments?sort=created", "", "no parameter sort"),
            ("DELETE", "/api/v3/repos/o/r/issues/comments/7", "{}", "has no body"),
        ] {
            let said = request(method, target, body).expect_err(target);
            assert!(said.contains(why), "{method} {target} {body}: {said}");
        }
    }
}
