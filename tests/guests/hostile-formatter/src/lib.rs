//! A formatter that does what its settings say: `{ do = "loop" }`. Built on the raw bindings, which let it answer with anything.
//!
//! | `do` | what |
//! |---|---|
//! | `fine` | a message |
//! | `loop`, `recurse`, `memory` | never ends, uses the stack up, uses memory up |
//! | `trap`, `panic` | traps |
//! | `error` | answers with an error |
//! | `not-json`, `not-utf8` | an answer that is no JSON, or no text |
//! | `null`, `array`, `no-body`, `bad-type` | JSON of another shape than a message |
//! | `huge` | a message of 64 MiB |
//! | `log-flood` | a million lines |
//! | `crlf` | line breaks in a subject |
//! | `configure-loop`, `configure-trap`, `configure-error` | the same, in `configure` |

#[cfg(target_arch = "wasm32")]
mod component {
    use std::cell::RefCell;
    use std::hint::black_box;

    use reporter_sdk::bindings::formatter::exports::reporter_host::reporter::{component, formatting};
    use reporter_sdk::bindings::formatter::reporter_host::reporter::{events, log};
    use serde_json::{Value, json};

    thread_local! {
        static DO: RefCell<String> = const { RefCell::new(String::new()) };
    }

    struct Hostile;

    impl component::Guest for Hostile {
        fn describe() -> String {
            let settings = json!({"type": "object", "properties": {"do": {"type": "string"}}, "required": ["do"], "additionalProperties": false});
            json!({"name": "hostile-formatter", "description": "does what its settings say", "settings": settings, "slots": ["message", "payload", "description", "missing-worker-message"]}).to_string()
        }

        fn configure(settings: String) -> Result<component::Plan, Vec<component::Problem>> {
            let settings: Value = serde_json::from_str(&settings).unwrap_or_default();
            let what = settings["do"].as_str().unwrap_or_default();
            match what {
                "configure-loop" => spin(),
                "configure-trap" => core::arch::wasm32::unreachable(),
                "configure-error" => return Err(vec![component::Problem { at: "/do".into(), message: "it was asked to refuse".into() }]),
                _ => DO.set(what.into()),
            }
            Ok(component::Plan { endpoints: Vec::new(), events: Vec::new(), uses: Vec::new() })
        }
    }

    impl formatting::Guest for Hostile {
        fn format(slot: String, _subjects: events::Subjects, _context: String) -> Result<String, String> {
            let message = |body: &str| Ok(json!({"body": body, "subject": format!("for {slot}"), "type": "plain"}).to_string());
            match DO.take().as_str() {
                "fine" => message("fine"),
                "loop" => spin(),
                "recurse" => message(&recurse(1).to_string()),
                "memory" => message(&grow().to_string()),
                "trap" => core::arch::wasm32::unreachable(),
                "panic" => panic!("it was asked to"),
                "error" => Err("it was asked to fail".into()),
                "not-json" => Ok("{\"body\": ".into()),
                // SAFETY: nothing here reads it as text; the host must not either.
                "not-utf8" => Ok(unsafe { String::from_utf8_unchecked(vec![b'"', 0xff, 0xfe, b'"']) }),
                "null" => Ok("null".into()),
                "array" => Ok("[1, 2]".into()),
                "no-body" => Ok(json!({"text": "x"}).to_string()),
                "bad-type" => Ok(json!({"body": "x", "type": "pdf"}).to_string()),
                "huge" => message(&"x".repeat(64 << 20)),
                "log-flood" => {
                    for n in 0..1_000_000 {
                        log::write(log::Level::Error, &format!("line {n}"));
                    }
                    message("flooded")
                }
                "crlf" => Ok(json!({"body": "x", "subject": "a\r\nBcc: all@example.org", "type": "plain"}).to_string()),
                other => Err(format!("nothing is known about {other}")),
            }
        }
    }

    fn spin() -> ! {
        loop {
            black_box(0);
        }
    }

    #[allow(unconditional_recursion)]
    fn recurse(depth: u64) -> u64 {
        let frame = black_box([depth; 64]);
        recurse(depth + 1) + black_box(frame)[0]
    }

    fn grow() -> usize {
        let mut kept: Vec<Vec<u8>> = Vec::new();
        loop {
            kept.push(black_box(vec![1; 1 << 20]));
        }
    }

    reporter_sdk::bindings::formatter::export_formatter_world!(Hostile with_types_in reporter_sdk::bindings::formatter);
}
