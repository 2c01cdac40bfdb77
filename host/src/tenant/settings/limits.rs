//! `[limits]` and the `limits` of services and formatters.

use std::time::Duration;

use super::diagnostic::Found;
use super::keys;
use super::node::Node;
use super::table::Table;
use crate::sandbox::Limits;

/// The most memory that the large engine gives, in MiB.
const MOST_MEMORY_MIB: u64 = 256;

/// The limits in `node`, and those of `base` where it has none.
pub(super) fn read(node: Option<&Node>, title: &str, base: &Limits, found: &mut Found) -> Limits {
    let mut limits = base.clone();
    let Some(table) = node.and_then(|node| Table::new(node, title, keys::LIMITS, found)) else { return limits };
    let mut count = |name: &str, most: u64| table.count(name, most, found);
    let hour_ms = 3_600_000;
    let gib_kib = 1 << 20;
    let some = u64::from(u32::MAX);
    set(&mut limits.compute, count("compute_ms", hour_ms).map(Duration::from_millis));
    set(&mut limits.wait, count("wait_ms", hour_ms).map(Duration::from_millis));
    set(&mut limits.memory, count("memory_mib", MOST_MEMORY_MIB).map(|mib| mib << 20));
    set(&mut limits.sends, count("sends", some).and_then(small));
    set(&mut limits.send_bytes, count("send_kib", gib_kib).map(|kib| kib << 10));
    set(&mut limits.log_lines, count("log_lines", some).and_then(small));
    set(&mut limits.read_bytes, count("read_kib", gib_kib).map(|kib| kib << 10));
    set(&mut limits.queries, count("queries", some).and_then(small));
    set(&mut limits.state_bytes, count("state_kib", gib_kib).map(|kib| kib << 10));
    set(&mut limits.component_bytes, count("component_mib", 1 << 10).map(|mib| mib << 20));
    set(&mut limits.compile.time, count("compile_ms", hour_ms).map(Duration::from_millis));
    set(&mut limits.compile.memory, count("compile_mib", 1 << 20).map(|mib| mib << 20));
    limits
}

fn small(value: u64) -> Option<u32> {
    u32::try_from(value).ok()
}

fn set<T>(to: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *to = value;
    }
}
