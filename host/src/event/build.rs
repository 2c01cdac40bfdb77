//! A build of an event: what came with it at hand, the rest fetched when asked for.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Details, FetchError, Kind, Log, Rows, Step, paths};

/// Buildbot's code of a build that will be tried again.
const RETRY: u64 = 5;
/// Buildbot's code of a cancelled build.
const CANCELLED: u64 = 6;

/// A build, or the pseudo-build that stands for a pending build request.
#[derive(Clone)]
pub struct Build {
    details: Arc<Details>,
    /// The build in the REST API's shape; the build request for a pseudo-build.
    object: Arc<Value>,
    builder: Arc<Value>,
    config: Arc<Value>,
    role: Role,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The build that the event is about.
    Subject,
    /// The build request that the event is about.
    Request,
    /// A build of the buildset that the event is about.
    Member,
    /// An earlier build.
    Earlier,
}

impl Build {
    /// The builds that an event is about; see `events.event.builds` in the contract.
    ///
    /// # Errors
    /// [`FetchError::NotNow`].
    pub async fn of(details: &Arc<Details>) -> Result<Vec<Self>, FetchError> {
        let event = &details.event;
        match event.kind {
            Kind::BuildStarted | Kind::BuildFinished => {
                let object = Arc::new(event.message.clone());
                Ok(vec![Self::load(details.clone(), object, Role::Subject).await?])
            }
            Kind::BuildrequestNew | Kind::BuildrequestCancelled => {
                let object = Arc::new(event.message.clone());
                Ok(vec![Self::load(details.clone(), object, Role::Request).await?])
            }
            Kind::BuildsetComplete => {
                let set = int(&event.message, "bsid").unwrap_or_default();
                let mut builds = Vec::new();
                for request in details.get(&paths::buildset_requests(set)).await?.iter() {
                    let id = int(request, "buildrequestid").unwrap_or_default();
                    for build in details.get(&paths::request_builds(id)).await?.iter() {
                        let object = Arc::new(build.clone());
                        builds.push(Self::load(details.clone(), object, Role::Member).await?);
                    }
                }
                Ok(builds)
            }
            Kind::WorkerMissing | Kind::WorkerConnected => Ok(Vec::new()),
        }
    }

    async fn load(details: Arc<Details>, object: Arc<Value>, role: Role) -> Result<Self, FetchError> {
        let builder = match int(&object, "builderid") {
            Some(id) => details.one(&paths::builder(id)).await?,
            None => Value::Null,
        };
        let config = details.one(paths::CONFIG).await?;
        Ok(Self { details, object, builder: Arc::new(builder), config: Arc::new(config), role })
    }

    /// The database id; none for a pseudo-build.
    pub fn id(&self) -> Option<u64> {
        (self.role != Role::Request).then(|| int(&self.object, "buildid")).flatten()
    }

    /// The number within its builder.
    pub fn number(&self) -> Option<u64> {
        (self.role != Role::Request).then(|| int(&self.object, "number")).flatten()
    }

    /// The builder's name, or empty.
    pub fn builder(&self) -> &str {
        text(&self.builder, "name")
    }

    /// The builder's tags.
    pub fn tags(&self) -> Vec<String> {
        strings(&self.builder["tags"])
    }

    /// The result; none while it runs. A pending build request has none, a cancelled one is cancelled.
    pub fn results(&self) -> Option<u8> {
        let results = match (self.role, self.details.event.kind) {
            (Role::Request, Kind::BuildrequestCancelled) => Some(CANCELLED),
            (Role::Request, _) => None,
            _ => int(&self.object, "results"),
        };
        results.and_then(|code| u8::try_from(code).ok())
    }

    /// Whether it has ended.
    pub fn complete(&self) -> bool {
        match self.role {
            Role::Request => self.details.event.kind == Kind::BuildrequestCancelled,
            Role::Subject => self.details.event.kind == Kind::BuildFinished,
            Role::Member | Role::Earlier => self.object["complete"].as_bool().unwrap_or_default(),
        }
    }

    /// The state in words.
    pub fn state_string(&self) -> &str {
        text(&self.object, "state_string")
    }

    /// When it started.
    pub fn started_at(&self) -> Option<u64> {
        int(&self.object, "started_at")
    }

    /// When it ended.
    pub fn complete_at(&self) -> Option<u64> {
        int(&self.object, "complete_at")
    }

    /// Its page (Buildbot: `{buildbotURL}#/builders/B/builds/N`), or the page of its request.
    pub fn url(&self) -> String {
        if let Some(url) = self.object["url"].as_str() {
            return url.to_owned();
        }
        let base = text(&self.config, "buildbotURL");
        if base.is_empty() {
            return String::new();
        }
        if self.role == Role::Request {
            return format!("{base}#/buildrequests/{}", int(&self.object, "buildrequestid").unwrap_or_default());
        }
        let builder = int(&self.object, "builderid").unwrap_or_default();
        format!("{base}#/builders/{builder}/builds/{}", self.number().unwrap_or_default())
    }

    /// The properties, `{name: [value, source]}`. A pseudo-build has those that are known before
    /// a build starts, except the builder's own, which the REST API does not tell.
    ///
    /// # Errors
    /// [`FetchError::NotNow`], as for everything below.
    pub async fn properties(&self) -> Result<Value, FetchError> {
        if let Some(id) = self.id() {
            let found = self.details.one(&paths::properties(id)).await?;
            return Ok(if found.is_object() { found } else { json!({}) });
        }
        let buildset = self.buildset().await?;
        let id = int(&buildset, "bsid").unwrap_or_default();
        let mut all = match self.details.one(&paths::buildset_properties(id)).await? {
            Value::Object(known) => known,
            _ => Map::new(),
        };
        all.insert("buildername".into(), json!([self.builder(), "Builder"]));
        all.insert("builderid".into(), json!([self.object["builderid"], "Builder"]));
        all.insert("buildnumber".into(), json!([null, "Build"]));
        if let Some([stamp]) = buildset["sourcestamps"].as_array().map(Vec::as_slice) {
            for key in ["branch", "revision", "repository", "codebase", "project"] {
                all.insert(key.into(), json!([stamp[key], "Build"]));
            }
        }
        Ok(Value::Object(all))
    }

    /// The build request. Its completion is left out of a build's event: the set ends after the
    /// build, and a reader outside would see sometimes one and sometimes the other.
    ///
    /// # Errors
    /// [`FetchError::NotNow`].
    pub async fn request(&self) -> Result<Value, FetchError> {
        let mut request = match (self.role, int(&self.object, "buildrequestid")) {
            (Role::Request, _) => self.object.as_ref().clone(),
            (_, Some(id)) => self.details.one(&paths::buildrequest(id)).await?,
            (_, None) => Value::Null,
        };
        if self.role == Role::Subject {
            unfinished(&mut request);
        }
        Ok(request)
    }

    /// The buildset, source stamps included. See [`Build::request`] for its completion.
    ///
    /// # Errors
    /// [`FetchError::NotNow`].
    pub async fn buildset(&self) -> Result<Value, FetchError> {
        if self.role == Role::Member {
            return Ok(self.details.event.message.clone());
        }
        let mut buildset = match int(&self.request().await?, "buildsetid") {
            Some(id) => self.details.one(&paths::buildset(id)).await?,
            None => Value::Null,
        };
        if self.role != Role::Request || self.details.event.kind == Kind::BuildrequestNew {
            unfinished(&mut buildset);
        }
        Ok(buildset)
    }

    /// The source stamps.
    ///
    /// # Errors
    /// [`FetchError::NotNow`].
    pub async fn sourcestamps(&self) -> Result<Rows, FetchError> {
        Ok(match self.buildset().await?["sourcestamps"].take() {
            Value::Array(stamps) => stamps,
            _ => Vec::new(),
        })
    }

    /// The changes since the last success.
    ///
    /// # Errors
    /// [`FetchError::NotNow`].
    pub async fn changes(&self) -> Result<Arc<Rows>, FetchError> {
        match self.id() {
            Some(id) => self.details.get(&paths::changes(id)).await,
            None => Ok(Arc::default()),
        }
    }

    /// The responsible users (semantics, section 1.5), with what its list of bugs asks for: `owners`
    /// as a text is one user, and what a scheduler set in the buildset counts.
    ///
    /// # Errors
    /// [`FetchError::NotNow`].
    pub async fn users(&self) -> Result<BTreeSet<String>, FetchError> {
        let mut users = BTreeSet::new();
        let mut add = |value: &Value| match value {
            Value::String(name) if !name.trim().is_empty() => {
                users.insert(name.clone());
            }
            Value::Array(names) => {
                users.extend(names.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            _ => {}
        };
        for change in self.changes().await?.iter() {
            add(&change["author"]);
        }
        let buildset = self.buildset().await?;
        for stamp in buildset["sourcestamps"].as_array().into_iter().flatten() {
            add(&stamp["patch"]["author"]);
        }
        let properties = self.properties().await?;
        let of_set = match (self.role, int(&buildset, "bsid")) {
            (Role::Request, _) | (_, None) => Value::Null,
            (_, Some(id)) => self.details.one(&paths::buildset_properties(id)).await?,
        };
        for source in [&properties, &of_set] {
            add(&source["owner"][0]);
            add(&source["owners"][0]);
        }
        Ok(users)
    }

    /// The newest earlier build of the builder that is not RETRY (semantics, section 1.4).
    ///
    /// # Errors
    /// [`FetchError::NotNow`].
    pub async fn previous(&self) -> Result<Option<Self>, FetchError> {
        Ok(self.previous_object().await?.map(|object| Self {
            object: Arc::new(object),
            role: Role::Earlier,
            ..self.clone()
        }))
    }

    async fn previous_object(&self) -> Result<Option<Value>, FetchError> {
        let (Some(builder), Some(number)) = (int(&self.object, "builderid"), self.number()) else {
            return Ok(None);
        };
        let rows = self.details.get(&paths::earlier_builds(builder, number)).await?;
        Ok(rows.iter().find(|build| int(build, "results") != Some(RETRY)).cloned())
    }

    /// The steps.
    ///
    /// # Errors
    /// [`FetchError::NotNow`].
    pub async fn steps(&self) -> Result<Vec<Step>, FetchError> {
        let Some(id) = self.id() else { return Ok(Vec::new()) };
        let rows = self.details.get(&paths::steps(id)).await?;
        Ok(rows
            .iter()
            .map(|step| Step { details: self.details.clone(), object: Arc::new(step.clone()), build: self.url() })
            .collect())
    }

    /// The build as a document; see `events.build.document` in the contract.
    ///
    /// # Errors
    /// [`FetchError::NotNow`].
    pub async fn document(&self, want: Want) -> Result<Value, FetchError> {
        let mut build = match self.role {
            Role::Request => Map::new(),
            _ => self.object.as_object().cloned().unwrap_or_default(),
        };
        let properties = if want.properties { self.properties().await? } else { json!({}) };
        let buildset = self.buildset().await?;
        build.insert("properties".into(), properties);
        if self.role != Role::Member {
            build.insert("buildrequest".into(), self.request().await?);
        }
        if matches!(self.role, Role::Subject | Role::Earlier) {
            let parent = match int(&buildset, "parent_buildid") {
                Some(id) => self.details.one(&paths::build(id)).await?,
                None => Value::Null,
            };
            let builder = match int(&parent, "builderid") {
                Some(id) => self.details.one(&paths::builder(id)).await?,
                None => Value::Null,
            };
            build.insert("parentbuild".into(), parent);
            build.insert("parentbuilder".into(), builder);
        }
        build.insert("buildset".into(), buildset);
        if self.role == Role::Request {
            build.insert("builderid".into(), self.object["builderid"].clone());
            build.insert("results".into(), self.results().map_or(Value::Null, Value::from));
        }
        build.insert("complete".into(), self.complete().into());
        build.insert("builder".into(), self.builder.as_ref().clone());
        build.insert("url".into(), self.url().into());
        if want.previous_build {
            build.insert("prev_build".into(), self.previous_object().await?.unwrap_or(Value::Null));
        }
        if want.steps {
            let mut steps = Vec::new();
            for step in self.steps().await? {
                steps.push(step.document(want.logs, want.log_contents).await?);
            }
            build.insert("steps".into(), steps.into());
        }
        Ok(Value::Object(build))
    }
}

/// What a document contains beside the build itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Want {
    /// `properties`
    pub properties: bool,
    /// `steps`
    pub steps: bool,
    /// `logs`
    pub logs: bool,
    /// `log-contents`
    pub log_contents: bool,
    /// `previous-build`
    pub previous_build: bool,
}

impl Want {
    /// Reads the contract's words; unknown ones are ignored.
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Self {
        let has = |word: &str| words.iter().any(|given| given.as_ref() == word);
        let log_contents = has("log-contents");
        let logs = log_contents || has("logs");
        Self {
            properties: has("properties"),
            steps: logs || has("steps"),
            logs,
            log_contents,
            previous_build: has("previous-build"),
        }
    }
}

/// The first log of a name among the steps of a build, for tests and excerpts.
pub(super) fn log_of(step: &Step, object: &Value) -> Log {
    Log { details: step.details.clone(), object: Arc::new(object.clone()), step: step.clone() }
}

fn unfinished(object: &mut Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert("complete".into(), false.into());
        object.insert("complete_at".into(), Value::Null);
        object.insert("results".into(), (-1).into());
    }
}

pub(super) fn int(object: &Value, key: &str) -> Option<u64> {
    object[key].as_u64()
}

pub(super) fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key].as_str().unwrap_or_default()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
