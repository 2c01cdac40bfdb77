//! What a call has left of its limits.

use wasmtime::ResourceLimiter;

use super::call::Ended;

/// Counts down what a component pushes through host calls.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Deliveries.
    pub sends: u32,
    /// Bytes of deliveries.
    pub send_bytes: u64,
    /// Bytes handed to the component.
    pub read_bytes: u64,
    /// Queries and formatter calls.
    pub queries: u32,
    /// Lines of log.
    pub log_lines: u32,
    /// Bytes of state.
    pub state_bytes: u64,
}

/// What a text counts for beside its bytes when it is one of many: what the host needs to hold it.
pub(super) const PART: usize = 24;

impl Budget {
    /// Takes one delivery of `bytes`.
    ///
    /// # Errors
    /// [`Ended::Limit`].
    pub fn send(&mut self, bytes: usize) -> Result<(), Ended> {
        self.count_send()?;
        take(&mut self.send_bytes, bytes, "send_kib")
    }

    /// Takes what counts as a delivery.
    ///
    /// # Errors
    /// [`Ended::Limit`].
    pub(super) fn count_send(&mut self) -> Result<(), Ended> {
        self.sends = self.sends.checked_sub(1).ok_or(Ended::Limit("sends"))?;
        Ok(())
    }

    /// Takes `bytes` handed to the component.
    ///
    /// # Errors
    /// [`Ended::Limit`].
    pub fn read(&mut self, bytes: usize) -> Result<(), Ended> {
        take(&mut self.read_bytes, bytes, "read_kib")
    }

    /// How many texts of a list can be handed to the component at most, and one more.
    pub(super) fn parts(&self) -> usize {
        usize::try_from(self.read_bytes).unwrap_or(usize::MAX) / PART + 1
    }

    /// Takes one query or formatter call.
    ///
    /// # Errors
    /// [`Ended::Limit`].
    pub fn query(&mut self) -> Result<(), Ended> {
        self.queries = self.queries.checked_sub(1).ok_or(Ended::Limit("queries"))?;
        Ok(())
    }
}

fn take(left: &mut u64, bytes: usize, limit: &'static str) -> Result<(), Ended> {
    *left = left.checked_sub(bytes as u64).ok_or(Ended::Limit(limit))?;
    Ok(())
}

/// Bytes that one entry of a table counts for: a function reference and its cache line.
const TABLE_ENTRY: usize = 64;

/// Limits the memories and tables of an instance together. Per memory, two of them would pass the cap.
#[derive(Clone, Debug)]
pub struct Meter {
    cap: usize,
    used: usize,
    /// Whether a growth was refused: then a trap that follows is the limit's doing.
    pub refused: bool,
}

impl Meter {
    /// A cap in bytes.
    pub fn new(cap: u64) -> Self {
        Self { cap: usize::try_from(cap).unwrap_or(usize::MAX), used: 0, refused: false }
    }

    fn grow(&mut self, by: usize) -> bool {
        match self.used.checked_add(by) {
            Some(used) if used <= self.cap => {
                self.used = used;
                true
            }
            _ => {
                self.refused = true;
                false
            }
        }
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(desired.saturating_sub(current)))
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(desired.saturating_sub(current).saturating_mul(TABLE_ENTRY)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_and_tables_share_one_cap() {
        let mut meter = Meter::new(1 << 20);
        assert!(meter.memory_growing(0, 1 << 19, None).unwrap());
        assert!(meter.memory_growing(0, 1 << 18, None).unwrap(), "a second memory");
        assert!(meter.table_growing(0, 1 << 11, None).unwrap());
        assert!(!meter.memory_growing(1 << 18, 1 << 19, None).unwrap());
        assert!(meter.refused);
    }

    #[test]
    fn each_budget_ends_with_its_own_name() {
        let mut budget = Budget { sends: 2, send_bytes: 10, read_bytes: 5, queries: 1, log_lines: 0, state_bytes: 0 };
        budget.send(4).unwrap();
        assert_eq!(budget.send(7), Err(Ended::Limit("send_kib")));
        assert_eq!(budget.send(0), Err(Ended::Limit("sends")));
        assert_eq!(budget.read(6), Err(Ended::Limit("read_kib")));
        budget.query().unwrap();
        assert_eq!(budget.query(), Err(Ended::Limit("queries")));
    }
}
