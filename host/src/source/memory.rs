//! A journal in memory, for tests.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::{Arrived, Journal};
use crate::store;

/// Keeps everything; survives its sources.
#[derive(Default)]
pub struct Memory(Mutex<(Vec<Arrived>, HashMap<String, String>)>, AtomicUsize);

impl Memory {
    /// What was journalled, in order.
    pub fn events(&self) -> Vec<Arrived> {
        self.0.lock().unwrap().0.clone()
    }

    /// The most that came between two moves of the cursor.
    pub fn largest(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }

    /// The ids of what was journalled, in order.
    pub fn ids(&self) -> Vec<String> {
        self.events().into_iter().map(|(event, _)| event.id).collect()
    }
}

#[async_trait]
impl Journal for Memory {
    async fn cursor(&self, source: &str) -> store::Result<Option<String>> {
        Ok(self.0.lock().unwrap().1.get(source).cloned())
    }

    async fn known(&self, ids: Vec<String>) -> store::Result<Vec<String>> {
        let have = self.ids();
        Ok(ids.into_iter().filter(|id| have.contains(id)).collect())
    }

    async fn journal(&self, source: &str, cursor: Option<String>, events: Vec<Arrived>) -> store::Result<usize> {
        let mut all = self.0.lock().unwrap();
        let before = all.0.len();
        self.1.fetch_max(events.len(), Ordering::SeqCst);
        for event in events {
            if all.0.iter().all(|(have, _)| have.id != event.0.id) {
                all.0.push(event);
            }
        }
        if let Some(cursor) = cursor {
            all.1.insert(source.to_owned(), cursor);
        }
        Ok(all.0.len() - before)
    }
}
