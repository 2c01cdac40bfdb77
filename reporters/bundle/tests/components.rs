//! What each built-in reporter imports and says of itself.

use reporter_bundle::{all, find};
use wit_component::DecodedWasm;

fn imports(component: &[u8]) -> Vec<String> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component).unwrap() else {
        panic!("a WIT package, not a component");
    };
    resolve.worlds[world].imports.keys().map(|key| resolve.name_world_key(key)).collect()
}

#[test]
fn nothing_but_the_contract_is_imported() {
    for built_in in all() {
        let imports = imports(built_in.component);
        assert!(imports.iter().any(|import| import == "reporter-host:reporter/events@0.1.0"), "{}: {imports:?}", built_in.name);
        for import in imports {
            assert!(import.starts_with("reporter-host:reporter/"), "{} imports {import}", built_in.name);
        }
    }
}

#[test]
fn found_by_name_and_small() {
    assert!(all().is_sorted_by_key(|built_in| built_in.name));
    for built_in in all() {
        assert_eq!(find(built_in.name).unwrap().component, built_in.component);
        assert!(built_in.component.len() < 3 << 20, "{} has {} bytes", built_in.name, built_in.component.len());
    }
    assert!(find("mailnotifier").is_none());
}
