//! `master`: reading and acting on the masters that the entry follows.

use std::sync::Arc;

use async_trait::async_trait;
use url::form_urlencoded;
use wasmtime::component::Resource;

use super::call::{Call, Ended, Phase};
use super::chat::reporter_host::reporter::master::Host;
use super::delivery::Terms;
use super::reporter::reporter_host::reporter::delivery::Answer;
use crate::event::{FetchError, Rows};
use crate::secret::{Encode, encode};
use crate::transport::{Endpoint, EndpointKind, MasterCall, Payload, Sources};

/// Bytes of a path with its query.
const PATH: usize = 8 << 10;
/// Segments of a path.
const SEGMENTS: usize = 32;

/// The masters of an entry.
#[async_trait]
pub trait Masters: Send + Sync {
    /// Their names, in the order of the settings.
    fn names(&self) -> Vec<String>;

    /// Reads one path below `api/v2/`, query included.
    ///
    /// # Errors
    /// See [`FetchError`].
    async fn fetch(&self, master: &str, path: &str) -> Result<Rows, FetchError>;
}

/// All of them.
#[async_trait]
impl Masters for Sources {
    fn names(&self) -> Vec<String> {
        Self::names(self)
    }

    async fn fetch(&self, master: &str, path: &str) -> Result<Rows, FetchError> {
        self.read(master, path).await
    }
}

impl Call {
    fn master(&self, name: &str, function: &str) -> Result<Arc<dyn Masters>, Ended> {
        self.only(&[Phase::Report], function)?;
        let entry = self.entry.as_ref().ok_or_else(|| Ended::Misuse("there is no entry here".into()))?;
        let names = entry.masters.names();
        if !names.iter().any(|known| known == name) {
            return Err(Ended::Misuse(format!("it called {function} for {name:?}, which the entry does not follow; it follows {}", names.join(", "))));
        }
        Ok(entry.masters.clone())
    }
}

impl Host for Call {
    fn names(&mut self) -> wasmtime::Result<Vec<String>> {
        self.only(&[Phase::Report], "master.names")?;
        let names = self.entry.as_ref().map(|entry| entry.masters.names()).unwrap_or_default();
        self.budget.read(names.iter().map(String::len).sum())?;
        Ok(names)
    }

    async fn get(&mut self, master: String, path: Vec<String>, query: Vec<(String, String)>) -> wasmtime::Result<Answer> {
        let masters = self.master(&master, "master.get")?;
        self.budget.query()?;
        let path = address(&path, &query)?;
        let fetched = self.wait(masters.fetch(&master, &path)).await;
        let (status, body) = match fetched {
            Ok(rows) => (200, serde_json::to_vec(&rows)?),
            Err(FetchError::Missing(why)) => (404, why.into_bytes()),
            Err(FetchError::NotNow(why)) => (0, why.into_bytes()),
        };
        self.budget.read(body.len())?;
        Ok(Answer { status, headers: Vec::new(), body, ended: "answered".into() })
    }

    fn act(&mut self, master: String, path: Vec<String>, method: String, parameters: String, terms: Resource<Terms>) -> wasmtime::Result<()> {
        self.master(&master, "master.act")?;
        address(&path, &[])?;
        if !serde_json::from_str::<serde_json::Value>(&parameters).is_ok_and(|parameters| parameters.is_object()) {
            return Err(Ended::Misuse("it called master.act with parameters that are no JSON object".into()).into());
        }
        if method.is_empty() || method.len() > 100 || !method.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(Ended::Misuse(format!("it called master.act with the method {method:?}")).into());
        }
        let entry = self.entry.clone().ok_or_else(|| Ended::Misuse("there is no entry here".into()))?;
        let endpoint = Endpoint::of_master(&master);
        let bytes = parameters.len() + method.len() + path.iter().map(String::len).sum::<usize>();
        self.plain_terms(&terms)?;
        self.queue(&entry, &endpoint, Payload::Master(MasterCall { master, path, method, parameters }), bytes, terms)
    }
}

impl Endpoint {
    /// What the endpoint of a master's control calls begins with; no plan has one of such a name.
    const MASTER: &str = "master:";

    /// The endpoint of a master's control calls.
    pub fn of_master(master: &str) -> Self {
        Self { name: format!("{}{master}", Self::MASTER), kind: EndpointKind::Master(master.to_owned()), level: crate::transport::policy::Level::default() }
    }

    /// The master whose control calls go to an endpoint of this name.
    pub fn master_of(name: &str) -> Option<&str> {
        name.strip_prefix(Self::MASTER)
    }
}

/// The path as it stands in a request.
fn address(path: &[String], query: &[(String, String)]) -> Result<String, Ended> {
    let wrong = path.is_empty() || path.len() > SEGMENTS || path.iter().any(|segment| matches!(segment.as_str(), "" | "." | ".."));
    let mut address = path.iter().filter_map(|segment| encode(segment, Encode::Segment).ok()).collect::<Vec<_>>().join("/");
    if !query.is_empty() {
        let query: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        address = format!("{address}?{query}");
    }
    if wrong || address.len() > PATH {
        return Err(Ended::Misuse(format!(
            "it asked a master for {path:?}; a path has 1 to {SEGMENTS} segments, none of them empty, . or .., and {PATH} bytes with its query"
        )));
    }
    Ok(address)
}
