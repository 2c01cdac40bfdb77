//! Small tables in an entry's state: project ids, comment ids. What was written longest ago is forgotten first, so that no table outgrows the
//! entry's budget of state. The plan must name `state`.

use crate::services::state;

/// Bytes of one table. An entry has 64 KiB of state unless the operator says otherwise.
const MOST: usize = 16 << 10;

/// A table of texts, under a name of its own.
#[derive(Clone, Copy, Debug)]
pub struct Remembered {
    name: &'static str,
    /// Bytes.
    most: usize,
}

impl Remembered {
    /// The table of this name, which is the key in the entry's state.
    pub const fn new(name: &'static str) -> Self {
        Self::of(name, MOST)
    }

    /// The same, of at most `most` bytes.
    pub const fn of(name: &'static str, most: usize) -> Self {
        Self { name, most }
    }

    /// How many more bytes it takes before something is forgotten.
    pub fn room(&self) -> usize {
        self.most.saturating_sub(state::get(self.name).map_or(2, |text| text.len()))
    }

    /// The value of a key; none if there is none, or if it was forgotten.
    pub fn get(&self, key: &str) -> Option<String> {
        self.rows().into_iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// Writes a value. One that is larger than the table is not kept.
    pub fn put(&self, key: &str, value: &str) {
        let mut rows = self.rows();
        rows.retain(|(known, _)| known != key);
        rows.push((key.into(), value.into()));
        self.keep(rows);
    }

    /// Forgets a key.
    pub fn forget(&self, key: &str) {
        let mut rows = self.rows();
        let before = rows.len();
        rows.retain(|(known, _)| known != key);
        if rows.len() < before {
            self.keep(rows);
        }
    }

    /// Oldest first.
    fn rows(&self) -> Vec<(String, String)> {
        state::get(self.name).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    fn keep(&self, mut rows: Vec<(String, String)>) {
        let mut text = serde_json::to_string(&rows).unwrap_or_default();
        while text.len() > self.most && !rows.is_empty() {
            rows.remove(0);
            text = serde_json::to_string(&rows).unwrap_or_default();
        }
        state::set(self.name, (!rows.is_empty()).then_some(text.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let table = Remembered::new("table");
        for n in 0..100 {
            table.put(&n.to_string(), &"x".repeat(1_000));
            table.put("kept", &n.to_string());
        }
        assert_eq!((table.get("0"), table.get("kept").as_deref()), (None, Some("99")));
        assert!(table.get("99").is_some() && table.get("90").is_some());
        assert!(state::get("table").is_some_and(|text| text.len() <= MOST));
        table.put("large", &"x".repeat(MOST));
        assert_eq!(table.get("large"), None);
        table.put("a", "1");
        table.put("a", "2");
        assert_eq!(table.get("a").as_deref(), Some("2"));
        table.forget("a");
        assert_eq!((table.get("a"), state::get("table")), (None, None));
    }
}
