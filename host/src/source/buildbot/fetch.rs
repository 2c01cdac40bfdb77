//! Details of a master's events, for [`Fetch`].

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::Master;
use super::control::SHUTDOWN;
use super::rest::{Rest, RestError};
use crate::event::{Acted, Fetch, FetchError, Rows, paths};
use crate::source::lenient;

/// How long builders and the master's own settings are taken as they were read.
const FRESH: Duration = Duration::from_secs(600);
/// The size of a page of a log, in bytes, that is aimed at.
const LOG_PAGE: usize = 1 << 20;
/// `owners` is written a moment after `new`: so often is a build asked whether that moment has passed …
const OWNERS_TRIES: u32 = 12;
/// … with so much time between.
const OWNERS_WAIT: Duration = Duration::from_millis(250);

/// What changes seldom.
#[derive(Default)]
pub(super) struct Known {
    builders: RwLock<HashMap<i64, (Instant, Value)>>,
    config: Mutex<Option<(Instant, Rows)>>,
}

#[async_trait]
impl Fetch for Master {
    async fn fetch(&self, path: &str) -> Result<Rows, FetchError> {
        let segments: Vec<&str> = path.split('/').collect();
        let rows = match segments[..] {
            [paths::CONFIG] => self.config().await,
            [SHUTDOWN] => self.shutdown_state().await,
            ["builders", id] if id.parse::<i64>().is_ok() => self.builder(id.parse().unwrap_or_default()).await.map(|builder| vec![builder]),
            ["builds", id, "properties"] if id.parse::<i64>().is_ok() => properties(&self.rest, id).await,
            ["logs", id, "contents"] => log(&self.rest, id, self.settings.most_log_bytes).await,
            _ => self.rest.rows(path).await,
        };
        rows.map_err(FetchError::from)
    }

    async fn act(&self, path: &str, method: &str, parameters: Value) -> Acted {
        self.control(path, method, parameters).await
    }
}

impl Master {
    /// Reads all builders, so that events can carry theirs without a request each.
    pub(super) async fn learn_builders(&self) -> Result<(), RestError> {
        let rows = self.rest.rows("builders").await?;
        let now = Instant::now();
        let mut builders = self.known.builders.write().unwrap_or_else(PoisonError::into_inner);
        builders.clear();
        builders.extend(rows.into_iter().filter_map(|row| Some((row["builderid"].as_i64()?, (now, row)))));
        Ok(())
    }

    /// A builder, from what is known or from the master.
    pub(super) async fn builder(&self, id: i64) -> Result<Value, RestError> {
        let known = self.known.builders.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if let Some((read, row)) = known
            && read.elapsed() < FRESH
        {
            return Ok(row);
        }
        let row = self.rest.rows(&paths::builder(id)).await?.into_iter().next().ok_or_else(|| RestError::Missing(format!("no builder {id}")))?;
        let mut builders = self.known.builders.write().unwrap_or_else(PoisonError::into_inner);
        builders.insert(id, (Instant::now(), row.clone()));
        Ok(row)
    }

    async fn config(&self) -> Result<Rows, RestError> {
        let mut known = self.known.config.lock().await;
        if let Some((read, rows)) = &*known
            && read.elapsed() < FRESH
        {
            return Ok(rows.clone());
        }
        let rows = vec![config(&self.rest).await?];
        *known = Some((Instant::now(), rows.clone()));
        Ok(rows)
    }
}

/// The master's settings as its pages see them: at `config` since 4.0, within the start page before.
async fn config(rest: &Rest) -> Result<Value, RestError> {
    let own = match rest.get("config").await {
        Ok(body) => lenient::read(&body).ok(),
        Err(RestError::Missing(_)) => None,
        Err(error) => return Err(error),
    };
    let whole: Value = match own {
        Some(config) => config,
        None => embedded(&String::from_utf8_lossy(&rest.get("").await?)).unwrap_or_else(|| json!({})),
    };
    let text = |key: &str, or: &str| whole[key].as_str().unwrap_or(or).to_owned();
    Ok(json!({
        "title": text("title", "Buildbot"),
        "titleURL": text("titleURL", rest.base().as_str()),
        "buildbotURL": text("buildbotURL", rest.base().as_str()),
        "versions": whole.get("versions").cloned().unwrap_or_else(|| json!([])),
    }))
}

/// The settings within the start page of a master before 4.0.
fn embedded(page: &str) -> Option<Value> {
    let (_, after) = page.split_once("constant(\"config\",")?;
    lenient::read_beginning(after.as_bytes()).ok()
}

/// A build's properties. The master writes `owners` between announcing a build and preparing its
/// worker; until that state is reached, a missing `owners` may still come.
async fn properties(rest: &Rest, build: &str) -> Result<Rows, RestError> {
    let path = paths::properties(build);
    let mut rows = rest.rows(&path).await?;
    for _ in 0..OWNERS_TRIES {
        if rows.first().is_some_and(|properties| properties.get("owners").is_some()) {
            break;
        }
        let now = rest.rows(&paths::build(build)).await?;
        let early = now
            .first()
            .is_some_and(|build| build["complete"].as_bool() == Some(false) && matches!(build["state_string"].as_str(), Some("created" | "starting")));
        if early {
            tokio::time::sleep(OWNERS_WAIT).await;
        }
        // Also when the state has just been reached: the first reading may have been before.
        rows = rest.rows(&path).await?;
        if !early {
            break;
        }
    }
    Ok(rows)
}

/// A log's contents in pages of lines: a master cannot stand that an answer is broken off, so none is large.
async fn log(rest: &Rest, id: &str, most: u64) -> Result<Rows, RestError> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut content = String::new();
    let (mut first, mut lines, mut cut) = (0_usize, 500_usize, false);
    loop {
        let page = rest.rows(&format!("{}?offset={first}&limit={lines}", paths::contents(id))).await;
        let page = match page {
            Ok(page) => page,
            Err(RestError::Missing(_)) if first > 0 => break,
            Err(error) => return Err(error),
        };
        let text = page.first().and_then(|chunk| chunk["content"].as_str()).unwrap_or_default();
        let got = text.matches('\n').count();
        content.push_str(text);
        if content.len() > most {
            let end = content.floor_char_boundary(most);
            let end = content[..end].rfind('\n').map_or(end, |newline| newline + 1);
            content.truncate(end);
            cut = true;
        }
        if cut || got < lines {
            break;
        }
        first += got;
        lines = (lines * LOG_PAGE / text.len().max(1)).clamp(50, 20_000);
    }
    let mut row = json!({"logid": id.parse::<i64>().ok(), "firstline": 0, "content": content});
    if cut {
        row["cut"] = json!(true);
    }
    Ok(vec![row])
}

/// Shares a master's details with whoever needs them.
impl Master {
    /// The handle through which details are fetched.
    pub fn fetcher(self: &Arc<Self>) -> Arc<dyn Fetch> {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_page_of_an_older_master_tells_its_settings() {
        let page = "<script>angular.module(\"buildbot_config\", []).constant(\"config\", {\"title\": \"Old )</script>\", \"buildbotURL\": \"http://b/\"})</script></html>";
        assert_eq!(embedded(page).unwrap()["title"], "Old )</script>");
        assert!(embedded("<html>").is_none());
    }
}
