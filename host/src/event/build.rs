//! A build of an event: what came with it at hand, the rest fetched when asked for.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::details::Shares;
use super::{Details, FetchError, Kind, Row, Rows, Step, paths};

/// Buildbot's code of a build that will be tried again.
const RETRY: u64 = 5;
/// Buildbot's code of a cancelled build.
const CANCELLED: u64 = 6;

/// A build, or the pseudo-build that stands for a pending build request.
#[derive(Clone)]
pub struct Build {
    details: Arc<Details>,
    /// The build in the REST API's shape; the build request for a pseudo-build.
    object: Row,
    builder: Row,
    config: Row,
    role: Role,
}

/// Why a build is shown with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
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
        let role = match event.kind {
            Kind::BuildStarted | Kind::BuildFinished => Role::Subject,
            Kind::BuildrequestNew | Kind::BuildrequestCancelled => Role::Request,
            Kind::BuildsetComplete => return Self::of_set(details).await,
            Kind::WorkerMissing | Kind::WorkerConnected | Kind::Heard => return Ok(Vec::new()),
        };
        Ok(vec![Self::load(details, Row::message(event), role).await?])
    }

    async fn of_set(details: &Arc<Details>) -> Result<Vec<Self>, FetchError> {
        let set = int(&details.event.message, "bsid").unwrap_or_default();
        let mut builds = Vec::new();
        for request in details.get(&paths::buildset_requests(set)).await?.iter() {
            let id = int(request, "buildrequestid").unwrap_or_default();
            for build in Row::all(&details.get(&paths::request_builds(id)).await?) {
                builds.push(Self::load(details, build, Role::Member).await?);
            }
        }
        Ok(builds)
    }

    async fn load(details: &Arc<Details>, object: Row, role: Role) -> Result<Self, FetchError> {
        let builder = of_id(details, &object, "builderid", paths::builder).await?;
        let config = details.one(paths::CONFIG).await?;
        Ok(Self { details: details.clone(), object, builder, config, role })
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
    pub async fn properties(&self) -> Result<Row, FetchError> {
        if let Some(id) = self.id() {
            let found = self.details.one(&paths::properties(id)).await?;
            return Ok(if found.is_object() { found } else { json!({}).into() });
        }
        let buildset = self.set().await?;
        let id = int(&buildset, "bsid").unwrap_or_default();
        let known = self.details.one(&paths::buildset_properties(id)).await?;
        let mut all = known.as_object().cloned().unwrap_or_default();
        all.insert("buildername".into(), json!([self.builder(), "Builder"]));
        all.insert("builderid".into(), json!([self.object["builderid"], "Builder"]));
        all.insert("buildnumber".into(), json!([null, "Build"]));
        if let Some([stamp]) = buildset["sourcestamps"].as_array().map(Vec::as_slice) {
            for key in ["branch", "revision", "repository", "codebase", "project"] {
                all.insert(key.into(), json!([stamp[key], "Build"]));
            }
        }
        Ok(Value::Object(all).into())
    }

    async fn of_request(&self) -> Result<Row, FetchError> {
        if self.role == Role::Request {
            return Ok(self.object.clone());
        }
        of_id(&self.details, &self.object, "buildrequestid", paths::buildrequest).await
    }

    /// The build request. Its completion is left out of a build's event: the set ends after the
    /// build, and a reader outside would see sometimes one and sometimes the other.
    async fn request(&self) -> Result<Value, FetchError> {
        let mut request = self.of_request().await?.to_value();
        if self.role == Role::Subject {
            unfinished(&mut request);
        }
        Ok(request)
    }

    /// The source stamps, a JSON object each.
    ///
    /// # Errors
    /// [`FetchError::NotNow`].
    pub async fn sourcestamps(&self) -> Result<Shares, FetchError> {
        let find = async { Ok(self.set().await?["sourcestamps"].as_array().into_iter().flatten().map(written).collect()) };
        match self.role {
            // All builds of the set have the same ones.
            Role::Member => find.await,
            _ => self.texts(Texts::Sourcestamps, find).await,
        }
    }

    /// The buildset, source stamps included, complete or not as the source had it when it was asked.
    async fn set(&self) -> Result<Row, FetchError> {
        if self.role == Role::Member {
            return Ok(Row::message(&self.details.event));
        }
        let request = self.of_request().await?;
        of_id(&self.details, &request, "buildsetid", paths::buildset).await
    }

    /// The buildset. See [`Build::request`] for its completion.
    async fn buildset(&self) -> Result<Value, FetchError> {
        let mut buildset = self.set().await?.to_value();
        let ends_later = match self.role {
            Role::Member => false,
            Role::Request => self.details.event.kind == Kind::BuildrequestNew,
            Role::Subject | Role::Earlier => true,
        };
        if ends_later {
            unfinished(&mut buildset);
        }
        Ok(buildset)
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
    pub async fn users(&self) -> Result<Shares, FetchError> {
        self.texts(Texts::Users, async { Ok(self.find_users().await?.into_iter().map(String::into_boxed_str).collect()) }).await
    }

    async fn find_users(&self) -> Result<BTreeSet<String>, FetchError> {
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
        let buildset = self.set().await?;
        for stamp in buildset["sourcestamps"].as_array().into_iter().flatten() {
            add(&stamp["patch"]["author"]);
        }
        let properties = self.properties().await?;
        let of_set = match self.role {
            Role::Request => Value::Null.into(),
            _ => of_id(&self.details, &buildset, "bsid", paths::buildset_properties).await?,
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
        Ok(self.previous_object().await?.map(|object| Self { object, role: Role::Earlier, ..self.clone() }))
    }

    async fn previous_object(&self) -> Result<Option<Row>, FetchError> {
        let (Some(builder), Some(number)) = (int(&self.object, "builderid"), self.number()) else {
            return Ok(None);
        };
        let rows = self.details.get(&paths::earlier_builds(builder, number)).await?;
        Ok(Row::all(&rows).find(|build| int(build, "results") != Some(RETRY)))
    }

    /// The steps.
    ///
    /// # Errors
    /// [`FetchError::NotNow`].
    pub async fn steps(&self) -> Result<Vec<Step>, FetchError> {
        let Some(id) = self.id() else { return Ok(Vec::new()) };
        let rows = self.details.get(&paths::steps(id)).await?;
        Ok(Row::all(&rows).map(|object| Step { details: self.details.clone(), object, build: self.url() }).collect())
    }

    /// The build as a document, a JSON object; see `events.build.document` in the contract.
    ///
    /// # Errors
    /// [`FetchError::NotNow`].
    pub async fn document(&self, want: Want) -> Result<String, FetchError> {
        // What logs say is much, and may have to be read again.
        if want.log_contents {
            return Ok(self.make(want).await?.to_string());
        }
        let document = self.texts(Texts::Document(want), async { Ok([written(&self.make(want).await?)].into()) }).await?;
        Ok(document[0].to_string())
    }

    /// What an entry made before, or what `make` comes to. Builds without an id cannot be told apart, so nothing is kept of them.
    async fn texts(&self, texts: Texts, make: impl Future<Output = Result<Shares, FetchError>>) -> Result<Shares, FetchError> {
        match int(&self.object, if self.role == Role::Request { "buildrequestid" } else { "buildid" }) {
            Some(id) => self.details.texts((self.role, id, texts), make).await,
            None => make.await,
        }
    }

    async fn make(&self, want: Want) -> Result<Value, FetchError> {
        let mut build = match self.role {
            Role::Request => Map::new(),
            _ => self.object.as_object().cloned().unwrap_or_default(),
        };
        let buildset = self.buildset().await?;
        build.insert("properties".into(), if want.properties { self.properties().await?.to_value() } else { json!({}) });
        if self.role != Role::Member {
            build.insert("buildrequest".into(), self.request().await?);
        }
        if matches!(self.role, Role::Subject | Role::Earlier) {
            let parent = of_id(&self.details, &buildset, "parent_buildid", paths::build).await?;
            let builder = of_id(&self.details, &parent, "builderid", paths::builder).await?;
            build.insert("parentbuild".into(), parent.to_value());
            build.insert("parentbuilder".into(), builder.to_value());
        }
        build.insert("buildset".into(), buildset);
        if self.role == Role::Request {
            build.insert("builderid".into(), self.object["builderid"].clone());
            build.insert("results".into(), self.results().map_or(Value::Null, Value::from));
        }
        build.insert("complete".into(), self.complete().into());
        build.insert("builder".into(), self.builder.to_value());
        build.insert("url".into(), self.url().into());
        if want.previous_build {
            let previous = self.previous_object().await?;
            build.insert("prev_build".into(), previous.map_or(Value::Null, |previous| previous.to_value()));
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

/// The object whose id stands under `key`, or null.
async fn of_id(details: &Arc<Details>, object: &Value, key: &str, path: impl Fn(u64) -> String) -> Result<Row, FetchError> {
    match int(object, key) {
        Some(id) => details.one(&path(id)).await,
        None => Ok(Value::Null.into()),
    }
}

fn written(value: &Value) -> Box<str> {
    value.to_string().into()
}

/// Texts about a build that all entries share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Texts {
    Document(Want),
    Sourcestamps,
    Users,
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
        Self { properties: has("properties"), steps: logs || has("steps"), logs, log_contents, previous_build: has("previous-build") }
    }
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;
    use crate::event::weight::TEXT;
    use crate::event::{Event, Fetch, Keep};

    /// A source that has nothing, and cannot be asked for some things at first.
    struct Nothing(Mutex<Vec<String>>);

    #[async_trait]
    impl Fetch for Nothing {
        async fn fetch(&self, path: &str) -> Result<Rows, FetchError> {
            let mut away = self.0.lock().unwrap();
            match away.iter().position(|it| it == path) {
                Some(n) => Err(FetchError::NotNow(away.swap_remove(n))),
                None => Err(FetchError::Missing(path.to_owned())),
            }
        }
    }

    impl Keep for Nothing {
        fn keep(&self, _: i64, _: &str, _: &Arc<Rows>) {}
    }

    fn details<const N: usize>(kind: Kind, message: Value, kept: [(String, Value); N], away: &[String]) -> Arc<Details> {
        let event = Event { id: "m/1".into(), kind, source: "m".into(), occurred_at: 0, late: false, message };
        let kept = kept.map(|(path, rows)| (path, Arc::new(serde_json::from_value(rows).unwrap())));
        let source = Arc::new(Nothing(Mutex::new(away.to_vec())));
        Arc::new(Details::new(Arc::new(event), 1, kept, source.clone(), source))
    }

    #[tokio::test]
    async fn builds_with_and_without_an_id_have_texts_of_their_own() {
        let request = |n: u64, id: Value| (paths::request_builds(n), json!([{"buildid": id, "number": n}]));
        let requests = (paths::buildset_requests(1), json!([{"buildrequestid": 1}, {"buildrequestid": 2}, {"buildrequestid": 3}, {"buildrequestid": 4}]));
        let builds = [requests, request(1, Value::Null), request(2, Value::Null), request(3, 0.into()), request(4, 8.into())];
        let details = details(Kind::BuildsetComplete, json!({"bsid": 1}), builds, &[]);
        for _ in 0..2 {
            let mut numbers = Vec::new();
            for build in Build::of(&details).await.unwrap() {
                let document: Value = serde_json::from_str(&build.document(Want::default()).await.unwrap()).unwrap();
                numbers.push(document["number"].as_u64().unwrap());
            }
            assert_eq!(numbers, [1, 2, 3, 4]);
        }
    }

    #[tokio::test]
    async fn texts_are_kept_by_role_and_kind_and_weigh_something() {
        let kept = [
            (paths::buildrequest(5), json!([{"buildrequestid": 5, "buildsetid": 6}])),
            (paths::buildset(6), json!([{"bsid": 6, "sourcestamps": [{"branch": "main"}]}])),
            (paths::properties(7), json!([{"owner": ["ann", "Build"]}])),
            // With the id of the build itself, as a source has it that counts anew.
            (paths::earlier_builds(3, 2), json!([{"buildid": 7, "number": 1, "results": 0}])),
        ];
        let message = json!({"buildid": 7, "number": 2, "builderid": 3, "buildrequestid": 5});
        let details = details(Kind::BuildFinished, message, kept, &[paths::changes(7)]);
        let build = Build::of(&details).await.unwrap().remove(0);
        let before = details.weight();
        assert!(build.users().await.is_err(), "its changes cannot be had yet");
        for _ in 0..2 {
            assert_eq!(*build.users().await.unwrap(), ["ann".into()]);
            assert_eq!(*build.sourcestamps().await.unwrap(), [r#"{"branch":"main"}"#.into()]);
            let earlier = build.previous().await.unwrap().unwrap();
            assert!(earlier.sourcestamps().await.unwrap().is_empty(), "it has no request");
            assert_eq!(details.weight() - before, "ann".len() + r#"{"branch":"main"}"#.len() + 2 * TEXT);
        }
        assert!(Arc::ptr_eq(&build.users().await.unwrap(), &build.users().await.unwrap()));
    }
}
