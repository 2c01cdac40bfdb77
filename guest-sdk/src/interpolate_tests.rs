use serde_json::json;

use super::*;

fn build() -> Build {
    Build::from_json(json!({
        "properties": {
            "branch": ["main", "Build"], "empty": ["", "Build"], "zero": [0, "Build"], "none": [null, "Build"],
            "n": [7, "Build"], "yes": [true, "Build"], "list": [["a", "it's"], "Build"], "workername": ["w1", "Worker"],
            "builddir": ["/b", "Worker"], "dotted.na-me_": ["d", "Build"]
        },
        "buildset": {"sourcestamps": [{"codebase": "", "branch": "main", "revision": "abc"}, {"codebase": "lib", "revision": null}]}
    }))
}

#[test]
fn grammar() {
    for (text, expected) in [
        ("plain", "plain"),
        ("100%", "100%"),
        ("a%%b", "a%%b"),
        ("%%(prop:branch)s", "%(prop:branch)s"),
        ("100%% %(prop:branch)s", "100% main"),
        ("%(prop:branch)s", "main"),
        ("%(prop:missing)s", ""),
        ("%(prop:none)s", ""),
        ("%(prop:dotted.na-me_)s", "d"),
        ("%(prop:n)s %(prop:n)d %(prop:n)03d %(prop:n)-3d|", "7 7 007 7  |"),
        ("%(prop:yes)s", "True"),
        ("%(prop:list)s", "['a', \"it's\"]"),
        ("%(prop:missing:-dflt)s", "dflt"),
        ("%(prop:empty:-dflt)s", ""),
        ("%(prop:none:-dflt)s", ""),
        ("%(prop:empty:~dflt)s", "dflt"),
        ("%(prop:zero:~dflt)s", "dflt"),
        ("%(prop:missing:~dflt)s", "dflt"),
        ("%(prop:branch:~dflt)s", "main"),
        ("%(prop:branch:+there)s", "there"),
        ("%(prop:missing:+there)s", ""),
        ("%(prop:branch:?|yes|no)s", "yes"),
        ("%(prop:missing:?|yes|no)s", "no"),
        ("%(prop:empty:?:yes:no)s", "yes"),
        ("%(prop:empty:#?|yes|no)s", "no"),
        ("%(prop:branch:#?!yes!no)s", "yes"),
        ("%(prop:missing:-%(prop:branch)s)s", "main"),
        ("%(prop:missing:-%(prop:also:-%(prop:n)s)s)s", "7"),
        ("%(prop:branch:?|on %(prop:branch)s|off)s", "on main"),
        ("%(prop:missing:-a:b)s", "a:b"),
        ("%(src::branch)s", "main"),
        ("%(src::revision:-HEAD)s", "abc"),
        ("%(src:lib:revision:~HEAD)s", "HEAD"),
        ("%(src:other:revision:-HEAD)s", "HEAD"),
        ("%(worker:name)s %(worker:builddir)s [%(worker:branch)s]", "w1 /b []"),
        ("%(kw:gone:-dflt)s", "dflt"),
        ("%(secret:gone:-dflt)s", "dflt"),
    ] {
        let rendered = Interpolate::of_setting(text).unwrap_or_else(|error| panic!("{text}: {error}")).render(&build());
        assert_eq!(rendered.as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn mistakes_say_where_and_what_to_write() {
    for (text, character, part) in [
        ("ab %(branch)s", 4, "write %(prop:branch)s"),
        ("%(prop:a b)s", 1, "is no name"),
        ("%(wrong:a)s", 1, "there is no selector"),
        ("%(src:branch)s", 1, "%(src::branch)s"),
        ("ü%(prop:a:=x)s", 2, ":-, :~, :+"),
        ("%(prop:a:?(yes(no)s", 1, "%( has no matching )"),
        ("%(prop:a:?|yes)s", 1, "is missing"),
        ("%(prop:a", 1, "no matching"),
        ("%(prop:a)", 1, "a letter is missing"),
        ("%(prop:a)q", 1, "no conversion"),
        ("%(prop:a)s 100%", 15, "write %%"),
        ("%(kw:a)s", 1, "no keyword a is given"),
        ("%(secret:a)s", 1, "there is no secret a"),
        ("%(prop:a:-%(b)s)s", 1, "write %(prop:b)s"),
        ("%(prop:a)9999999d", 1, "too much"),
    ] {
        let error = Interpolate::of_setting(text).expect_err(text);
        assert_eq!(error.character, character, "{text}: {error}");
        assert!(error.message.contains(part), "{text}: {error}");
    }
}

#[test]
fn conversions_that_do_not_fit_fail_the_call() {
    let failure = Interpolate::of_setting("%(prop:branch)d").unwrap().render(&build()).unwrap_err();
    assert!(failure.message.contains("needs a number") && !failure.again);
}

#[test]
fn table_form_with_keywords() {
    let text: Interpolate = serde_json::from_value(json!({"interpolate": "%(kw:who)s at %(kw:n)03d%%", "kw": {"who": "%(prop:branch)s", "n": 5}})).unwrap();
    assert_eq!(text.render(&build()).unwrap(), "main at 005%");
    assert!(!text.is_static());
    let error = serde_json::from_value::<Interpolate>(json!({"interpolat": "x"})).unwrap_err();
    assert!(error.to_string().contains("kw = {"), "{error}");
}

#[test]
fn secrets_are_placeholders_from_the_reserved_key() {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Settings {
        token: Interpolate,
    }
    let settings: Settings = crate::settings::read(json!({"token": "token %(secret:github)s", "secrets": {"github": "PLACEHOLDER"}})).unwrap();
    assert_eq!(settings.token.render(&()).unwrap(), "token PLACEHOLDER");
    let problems = crate::settings::read::<Settings>(json!({"token": "token %(secret:github)s"})).err().unwrap();
    assert_eq!(problems.0[0].at, "/token");
}
