//! That each guest is what its name says, so that no test fails for another reason than it thinks.

use test_guests::{CORE_MODULE, HOSTILE, HOSTILE_FORMATTER, OTHER_WORLD, PICK, WASIP2};
use wit_component::DecodedWasm;

fn imports(component: &[u8]) -> Vec<String> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component).unwrap() else {
        panic!("a WIT package, not a component");
    };
    resolve.worlds[world].imports.keys().map(|key| resolve.name_world_key(key)).collect()
}

#[test]
fn imports_of_the_contract_only() {
    for component in [HOSTILE, HOSTILE_FORMATTER, PICK] {
        let imports = imports(component);
        assert!(!imports.is_empty() && imports.iter().all(|import| import.starts_with("reporter-host:reporter/")), "{imports:?}");
    }
    assert!(imports(HOSTILE).iter().any(|import| import.starts_with("reporter-host:reporter/smtp")));
    assert!(imports(HOSTILE_FORMATTER).iter().all(|import| import.contains("/events@") || import.contains("/log@")));
}

#[test]
fn wasi_is_asked_for_everything() {
    let imports = imports(WASIP2);
    for wanted in ["wasi:cli/environment", "wasi:cli/stdout", "wasi:filesystem/preopens", "wasi:sockets/tcp", "reporter-host:reporter/http"] {
        assert!(imports.iter().any(|import| import.starts_with(wanted)), "{wanted} is not in {imports:?}");
    }
}

#[test]
fn what_is_no_component_of_ours() {
    // Version 1, layer 0: a core module.
    assert_eq!(CORE_MODULE[..8], *b"\0asm\x01\0\0\0");
    assert_eq!(imports(OTHER_WORLD), ["now"]);
}
