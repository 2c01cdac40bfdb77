//! `events`: what happened, through handles. Getters of what came with the event are synchronous;
//! those that may fetch wait.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;
use wasmtime::component::Resource;

use super::budget::PART;
use super::call::Call;
use super::reporter::reporter_host::reporter::events::{Host, HostBuild, HostEvent, HostLog, HostStep, HostUser, HostWorker, MasterInfo};
use crate::event::{Build, Details, Kind, Log, LogText, Row, Step, Want, paths};

/// An event.
pub struct EventHandle(pub Arc<Details>);
/// A build.
pub struct BuildHandle(pub Arc<Build>);
/// A step.
pub struct StepHandle(pub Arc<Step>);
/// A log.
pub struct LogHandle(pub Arc<Log>);
/// A worker, in the REST API's shape.
pub struct WorkerHandle(pub Row);
/// A person.
pub struct UserHandle(pub String);

type R<T> = wasmtime::Result<T>;

impl Host for Call {}

impl Call {
    fn event(&self, this: &Resource<EventHandle>) -> R<Arc<Details>> {
        Ok(self.table.get(this)?.0.clone())
    }

    fn build(&self, this: &Resource<BuildHandle>) -> R<Arc<Build>> {
        Ok(self.table.get(this)?.0.clone())
    }

    fn of_step(&self, this: &Resource<StepHandle>) -> R<Arc<Step>> {
        Ok(self.table.get(this)?.0.clone())
    }

    fn of_log(&self, this: &Resource<LogHandle>) -> R<Arc<Log>> {
        Ok(self.table.get(this)?.0.clone())
    }

    fn of_worker(&self, this: &Resource<WorkerHandle>) -> R<Row> {
        Ok(self.table.get(this)?.0.clone())
    }

    async fn log_text(&mut self, this: &Resource<LogHandle>) -> R<LogText> {
        let log = self.of_log(this)?;
        Ok(self.fetch(|| log.text()).await?)
    }

    /// How many lines of a log may be asked for: more than the budget has room for is not even looked up.
    fn most(&self, asked: u32) -> usize {
        (asked as usize).min(self.budget.parts())
    }

    fn found<'a>(&mut self, found: impl IntoIterator<Item = (u64, Cow<'a, str>)>) -> R<Vec<(u64, String)>> {
        let found: Vec<(u64, String)> = found.into_iter().map(|(number, line)| (number, line.into_owned())).collect();
        self.budget.read(found.iter().map(|(_, line)| line.len() + PART).sum())?;
        Ok(found)
    }

    fn hand_all(&mut self, texts: Vec<String>) -> R<Vec<String>> {
        self.budget.read(texts.iter().map(|text| text.len() + PART).sum())?;
        Ok(texts)
    }
}

impl HostEvent for Call {
    fn id(&mut self, this: Resource<EventHandle>) -> R<String> {
        Ok(self.event(&this)?.event.id.clone())
    }

    fn kind(&mut self, this: Resource<EventHandle>) -> R<String> {
        Ok(self.event(&this)?.event.kind.as_str().to_owned())
    }

    fn source(&mut self, this: Resource<EventHandle>) -> R<String> {
        Ok(self.event(&this)?.event.source.clone())
    }

    fn occurred_at(&mut self, this: Resource<EventHandle>) -> R<u64> {
        Ok(u64::try_from(self.event(&this)?.event.occurred_at).unwrap_or_default())
    }

    fn late(&mut self, this: Resource<EventHandle>) -> R<bool> {
        Ok(self.event(&this)?.event.late)
    }

    async fn builds(&mut self, this: Resource<EventHandle>) -> R<Vec<Resource<BuildHandle>>> {
        let details = self.event(&this)?;
        let builds = self.fetch(|| Build::of(&details)).await?;
        builds.into_iter().map(|build| self.lend(BuildHandle(Arc::new(build)))).collect()
    }

    fn buildset(&mut self, this: Resource<EventHandle>) -> R<Option<String>> {
        let details = self.event(&this)?;
        if details.event.kind != Kind::BuildsetComplete {
            return Ok(None);
        }
        self.hand(details.event.message.to_string()).map(Some)
    }

    fn worker(&mut self, this: Resource<EventHandle>) -> R<Option<Resource<WorkerHandle>>> {
        let details = self.event(&this)?;
        if !matches!(details.event.kind, Kind::WorkerMissing | Kind::WorkerConnected) {
            return Ok(None);
        }
        self.lend(WorkerHandle(Row::message(&details.event))).map(Some)
    }

    async fn master(&mut self, this: Resource<EventHandle>) -> R<MasterInfo> {
        let details = self.event(&this)?;
        let config = self.fetch(|| details.one(paths::CONFIG)).await?;
        let text = |key: &str| config[key].as_str().unwrap_or_default().to_owned();
        let versions = config["versions"].as_array();
        let version = versions.into_iter().flatten().find(|pair| pair[0] == "Buildbot");
        Ok(MasterInfo {
            title: text("title"),
            title_url: text("titleURL"),
            url: text("buildbotURL"),
            version: version.and_then(|pair| pair[1].as_str()).unwrap_or_default().to_owned(),
        })
    }

    fn drop(&mut self, this: Resource<EventHandle>) -> R<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl HostBuild for Call {
    fn id(&mut self, this: Resource<BuildHandle>) -> R<Option<u64>> {
        Ok(self.build(&this)?.id())
    }

    fn number(&mut self, this: Resource<BuildHandle>) -> R<Option<u64>> {
        Ok(self.build(&this)?.number())
    }

    fn builder(&mut self, this: Resource<BuildHandle>) -> R<String> {
        Ok(self.build(&this)?.builder().to_owned())
    }

    fn tags(&mut self, this: Resource<BuildHandle>) -> R<Vec<String>> {
        Ok(self.build(&this)?.tags())
    }

    fn results(&mut self, this: Resource<BuildHandle>) -> R<Option<u8>> {
        Ok(self.build(&this)?.results())
    }

    fn complete(&mut self, this: Resource<BuildHandle>) -> R<bool> {
        Ok(self.build(&this)?.complete())
    }

    fn state_string(&mut self, this: Resource<BuildHandle>) -> R<String> {
        Ok(self.build(&this)?.state_string().to_owned())
    }

    fn url(&mut self, this: Resource<BuildHandle>) -> R<String> {
        Ok(self.build(&this)?.url())
    }

    fn started_at(&mut self, this: Resource<BuildHandle>) -> R<Option<u64>> {
        Ok(self.build(&this)?.started_at())
    }

    fn complete_at(&mut self, this: Resource<BuildHandle>) -> R<Option<u64>> {
        Ok(self.build(&this)?.complete_at())
    }

    async fn property(&mut self, this: Resource<BuildHandle>, name: String) -> R<Option<String>> {
        let build = self.build(&this)?;
        let properties = self.fetch(|| build.properties()).await?;
        properties.get(&name).map(|pair| self.hand(pair.to_string())).transpose()
    }

    async fn sourcestamps(&mut self, this: Resource<BuildHandle>) -> R<Vec<String>> {
        let build = self.build(&this)?;
        let stamps = self.fetch(|| build.sourcestamps()).await?;
        self.hand_all(stamps.iter().map(ToString::to_string).collect())
    }

    async fn previous(&mut self, this: Resource<BuildHandle>) -> R<Option<Resource<BuildHandle>>> {
        let build = self.build(&this)?;
        let previous = self.fetch(|| build.previous()).await?;
        previous.map(|previous| self.lend(BuildHandle(Arc::new(previous)))).transpose()
    }

    async fn changes(&mut self, this: Resource<BuildHandle>) -> R<Vec<String>> {
        let build = self.build(&this)?;
        let changes = self.fetch(|| build.changes()).await?;
        self.hand_all(changes.iter().map(Value::to_string).collect())
    }

    async fn users(&mut self, this: Resource<BuildHandle>) -> R<Vec<String>> {
        let build = self.build(&this)?;
        let users = self.fetch(|| build.users()).await?;
        self.hand_all(users.iter().map(ToString::to_string).collect())
    }

    async fn steps(&mut self, this: Resource<BuildHandle>) -> R<Vec<Resource<StepHandle>>> {
        let build = self.build(&this)?;
        let steps = self.fetch(|| build.steps()).await?;
        steps.into_iter().map(|step| self.lend(StepHandle(Arc::new(step)))).collect()
    }

    async fn document(&mut self, this: Resource<BuildHandle>, want: Vec<String>) -> R<String> {
        let build = self.build(&this)?;
        let want = Want::parse(&want);
        let document = self.fetch(|| build.document(want)).await?;
        self.hand(document)
    }

    fn drop(&mut self, this: Resource<BuildHandle>) -> R<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl HostStep for Call {
    fn name(&mut self, this: Resource<StepHandle>) -> R<String> {
        Ok(self.of_step(&this)?.name().to_owned())
    }

    fn number(&mut self, this: Resource<StepHandle>) -> R<u32> {
        Ok(u32::try_from(self.of_step(&this)?.number()).unwrap_or(u32::MAX))
    }

    fn results(&mut self, this: Resource<StepHandle>) -> R<Option<u8>> {
        let results = self.of_step(&this)?.object["results"].as_u64();
        Ok(results.and_then(|code| u8::try_from(code).ok()))
    }

    fn state_string(&mut self, this: Resource<StepHandle>) -> R<String> {
        Ok(self.of_step(&this)?.object["state_string"].as_str().unwrap_or_default().to_owned())
    }

    fn hidden(&mut self, this: Resource<StepHandle>) -> R<bool> {
        Ok(self.of_step(&this)?.object["hidden"].as_bool().unwrap_or_default())
    }

    fn urls(&mut self, this: Resource<StepHandle>) -> R<Vec<(String, String)>> {
        let step = self.of_step(&this)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let urls = step.object["urls"].as_array().into_iter().flatten();
        Ok(urls.map(|url| (text(&url["name"]), text(&url["url"]))).collect())
    }

    async fn logs(&mut self, this: Resource<StepHandle>) -> R<Vec<Resource<LogHandle>>> {
        let step = self.of_step(&this)?;
        let logs = self.fetch(|| step.logs()).await?;
        logs.into_iter().map(|log| self.lend(LogHandle(Arc::new(log)))).collect()
    }

    fn document(&mut self, this: Resource<StepHandle>) -> R<String> {
        let step = self.of_step(&this)?;
        self.hand(step.object.to_string())
    }

    fn drop(&mut self, this: Resource<StepHandle>) -> R<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl HostLog for Call {
    fn name(&mut self, this: Resource<LogHandle>) -> R<String> {
        Ok(self.of_log(&this)?.object["name"].as_str().unwrap_or_default().to_owned())
    }

    fn slug(&mut self, this: Resource<LogHandle>) -> R<String> {
        Ok(self.of_log(&this)?.object["slug"].as_str().unwrap_or_default().to_owned())
    }

    fn step(&mut self, this: Resource<LogHandle>) -> R<String> {
        Ok(self.of_log(&this)?.step().to_owned())
    }

    fn kind(&mut self, this: Resource<LogHandle>) -> R<String> {
        Ok(self.of_log(&this)?.object["type"].as_str().unwrap_or("t").to_owned())
    }

    fn lines(&mut self, this: Resource<LogHandle>) -> R<u64> {
        Ok(self.of_log(&this)?.object["num_lines"].as_u64().unwrap_or_default())
    }

    fn url(&mut self, this: Resource<LogHandle>) -> R<String> {
        Ok(self.of_log(&this)?.url())
    }

    async fn read(&mut self, this: Resource<LogHandle>, first: u64, count: u32) -> R<String> {
        let text = self.log_text(&this).await?;
        let skip = usize::try_from(first).unwrap_or(usize::MAX);
        self.hand(text.lines().skip(skip).take(count as usize).collect())
    }

    async fn tail(&mut self, this: Resource<LogHandle>, count: u32) -> R<String> {
        let text = self.log_text(&this).await?;
        let skip = text.lines().count().saturating_sub(count as usize);
        self.hand(text.lines().skip(skip).map(readable).collect())
    }

    async fn find(&mut self, this: Resource<LogHandle>, needles: Vec<String>, most: u32) -> R<Vec<(u64, String)>> {
        let text = self.log_text(&this).await?;
        let most = self.most(most);
        let mut found = VecDeque::new();
        for line in with_any(text.with_streams(), &needles) {
            if found.len() >= most {
                found.pop_front();
            }
            found.push_back(line);
        }
        found.truncate(most);
        self.found(found)
    }

    async fn find_first(&mut self, this: Resource<LogHandle>, needles: Vec<String>, from: u64, most: u32) -> R<Vec<(u64, String)>> {
        let text = self.log_text(&this).await?;
        let found: Vec<_> = with_any(text.with_streams(), &needles).skip_while(|(number, _)| *number < from).take(self.most(most)).collect();
        self.found(found)
    }

    async fn size(&mut self, this: Resource<LogHandle>) -> R<u64> {
        Ok(self.log_text(&this).await?.bytes())
    }

    fn end(&mut self, this: Resource<LogHandle>, bytes: u64) -> R<Resource<LogHandle>> {
        let end = self.of_log(&this)?.end(bytes);
        self.lend(LogHandle(Arc::new(end)))
    }

    fn drop(&mut self, this: Resource<LogHandle>) -> R<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

/// The lines that contain any of these texts, case ignored, with their numbers. What the CI wrote itself names files and options as it likes, and has
/// none of them but an empty one.
fn with_any<'a>(lines: impl Iterator<Item = (bool, &'a str)>, needles: &[String]) -> impl Iterator<Item = (u64, Cow<'a, str>)> {
    let needles: Vec<String> = needles.iter().map(|needle| needle.to_lowercase()).collect();
    let line = |line: &'a str| {
        let line = line.strip_suffix('\n').unwrap_or(line);
        line.strip_suffix('\r').unwrap_or(line)
    };
    let in_every_line = needles.iter().any(String::is_empty);
    (0..).zip(lines).filter(move |(_, (is_header, _))| !is_header || in_every_line).filter_map(move |(number, (_, text))| {
        let line = line(text);
        let lower = line.to_lowercase();
        needles.iter().any(|needle| lower.contains(needle.as_str())).then(|| (number, readable(line)))
    })
}

/// Bytes of a line that somebody can be meant to read; a log may be all one line.
const READABLE: usize = 16 << 10;

/// The line, without what nobody reads of it.
fn readable(line: &str) -> Cow<'_, str> {
    if line.len() <= READABLE {
        return Cow::Borrowed(line);
    }
    Cow::Owned(format!("{}…{}", &line[..line.floor_char_boundary(READABLE)], if line.ends_with('\n') { "\n" } else { "" }))
}

impl HostWorker for Call {
    fn name(&mut self, this: Resource<WorkerHandle>) -> R<String> {
        Ok(self.of_worker(&this)?["name"].as_str().unwrap_or_default().to_owned())
    }

    fn notify(&mut self, this: Resource<WorkerHandle>) -> R<Vec<String>> {
        let worker = self.of_worker(&this)?;
        let people = worker["notify"].as_array().into_iter().flatten();
        Ok(people.filter_map(Value::as_str).map(str::to_owned).collect())
    }

    fn last_connection(&mut self, this: Resource<WorkerHandle>) -> R<String> {
        Ok(self.of_worker(&this)?["last_connection"].as_str().unwrap_or_default().to_owned())
    }

    fn document(&mut self, this: Resource<WorkerHandle>) -> R<String> {
        let worker = self.of_worker(&this)?;
        self.hand(worker.to_string())
    }

    fn drop(&mut self, this: Resource<WorkerHandle>) -> R<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl HostUser for Call {
    fn new(&mut self, name: String) -> R<Resource<UserHandle>> {
        self.lend(UserHandle(name))
    }

    fn name(&mut self, this: Resource<UserHandle>) -> R<String> {
        Ok(self.table.get(&this)?.0.clone())
    }

    fn drop(&mut self, this: Resource<UserHandle>) -> R<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
