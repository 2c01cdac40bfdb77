//! From the contract's exports to the author's traits: what the export macros call.

use std::cell::RefCell;

use serde_json::{Map, Value, json};

use crate::bindings::{formatter, reporter};
use crate::component::{Failure, Formatter, Outcome, Plan, Problems, Reporter};
use crate::event::{Event, Subjects};
use crate::settings;
use crate::slot::Context;

use formatter::exports::reporter_host::reporter::component as of_formatter;
use reporter::exports::reporter_host::reporter::{component as of_reporter, reporting};

/// Makes a component of a type that implements [`Reporter`].
#[macro_export]
macro_rules! export_reporter {
    ($reporter:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::formatter::reporter_host::reporter::events;
            use $crate::bindings::reporter::exports::reporter_host::reporter::{component, reporting};
            use $crate::bindings::reporter::reporter_host::reporter::delivery;

            thread_local! {
                static KEPT: ::std::cell::RefCell<::core::option::Option<$reporter>> = const { ::std::cell::RefCell::new(None) };
            }
            struct Exported;
            impl component::Guest for Exported {
                fn describe() -> ::std::string::String {
                    $crate::export::describe_reporter::<$reporter>()
                }
                fn configure(settings: ::std::string::String) -> Result<component::Plan, ::std::vec::Vec<component::Problem>> {
                    KEPT.with(|kept| $crate::export::configure_reporter(kept, &settings))
                }
            }
            impl reporting::Guest for Exported {
                fn report(event: events::Event) -> Result<reporting::Outcome, reporting::Failure> {
                    KEPT.with(|kept| $crate::export::report(kept, event))
                }
                fn answered(tag: ::std::string::String, answer: delivery::Answer) -> Result<reporting::Outcome, reporting::Failure> {
                    KEPT.with(|kept| $crate::export::answered(kept, &tag, &answer))
                }
            }
    $crate::bindings::reporter::export_reporter_world!(Exported with_types_in $crate::bindings::reporter);
        };
    };
}

/// Makes a component of a type that implements [`ChatReporter`].
#[macro_export]
macro_rules! export_chat_reporter {
    ($reporter:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::chat::exports::reporter_host::reporter::{chat, component, reporting};
            use $crate::bindings::formatter::reporter_host::reporter::events;
            use $crate::bindings::reporter::reporter_host::reporter::delivery;

            thread_local! {
                static KEPT: ::std::cell::RefCell<::core::option::Option<$reporter>> = const { ::std::cell::RefCell::new(None) };
            }
            struct Exported;
            impl component::Guest for Exported {
                fn describe() -> ::std::string::String {
                    $crate::export::describe_reporter::<$reporter>()
                }
                fn configure(settings: ::std::string::String) -> Result<component::Plan, ::std::vec::Vec<component::Problem>> {
                    KEPT.with(|kept| $crate::export::chat::configure(kept, &settings))
                }
            }
            impl reporting::Guest for Exported {
                fn report(event: events::Event) -> Result<reporting::Outcome, reporting::Failure> {
                    KEPT.with(|kept| $crate::export::chat::report(kept, event))
                }
                fn answered(tag: ::std::string::String, answer: delivery::Answer) -> Result<reporting::Outcome, reporting::Failure> {
                    KEPT.with(|kept| $crate::export::chat::answered(kept, &tag, &answer))
                }
            }
            impl chat::Guest for Exported {
                fn heard(update: ::std::string::String) -> Result<reporting::Outcome, reporting::Failure> {
                    KEPT.with(|kept| $crate::export::chat::heard(kept, &update))
                }
            }
    $crate::bindings::chat::export_chat_world!(Exported with_types_in $crate::bindings::chat);
        };
    };
}

/// Makes a component of a type that implements [`Formatter`]; its name and description are those of the crate.
#[macro_export]
macro_rules! export_formatter {
    ($formatter:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::formatter::exports::reporter_host::reporter::{component, formatting};
            use $crate::bindings::formatter::reporter_host::reporter::events;

            thread_local! {
                static KEPT: ::std::cell::RefCell<::core::option::Option<<$formatter as $crate::Formatter>::Settings>> =
                    const { ::std::cell::RefCell::new(None) };
            }
            struct Exported;
            impl component::Guest for Exported {
                fn describe() -> ::std::string::String {
                    $crate::export::describe_formatter::<$formatter>(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_DESCRIPTION"))
                }
                fn configure(settings: ::std::string::String) -> Result<component::Plan, ::std::vec::Vec<component::Problem>> {
                    KEPT.with(|kept| $crate::export::configure_formatter::<$formatter>(kept, &settings))
                }
            }
            impl formatting::Guest for Exported {
                fn format(
                    slot: ::std::string::String,
                    subjects: events::Subjects,
                    context: ::std::string::String,
                ) -> Result<::std::string::String, ::std::string::String> {
                    KEPT.with(|kept| $crate::export::format::<$formatter>(kept, &slot, subjects, &context))
                }
            }
    $crate::bindings::formatter::export_formatter_world!(Exported with_types_in $crate::bindings::formatter);
        };
    };
}

/// What a reporter's `describe` answers.
pub fn describe_reporter<R: Reporter>() -> String {
    let schema = settings::schema::<R::Settings>();
    let slots: Map<String, Value> =
        schema["properties"].as_object().into_iter().flatten().filter_map(|(name, property)| Some((name.clone(), property.get("x-slot")?.clone()))).collect();
    json!({"name": R::NAME, "description": R::DESCRIPTION, "settings": schema, "slots": slots}).to_string()
}

/// What a formatter's `describe` answers.
pub fn describe_formatter<F: Formatter>(name: &str, description: &str) -> String {
    json!({"name": name, "description": description, "settings": settings::schema::<F::Settings>(), "slots": F::SLOTS}).to_string()
}

fn parse(settings: &str) -> Result<Value, Problems> {
    serde_json::from_str(settings).map_err(|error| Problems::at("", format!("the settings are no JSON: {error}")))
}

/// A reporter's `configure`.
pub fn configure_reporter<R: Reporter>(kept: &RefCell<Option<R>>, settings: &str) -> Result<of_reporter::Plan, Vec<of_reporter::Problem>> {
    let configured = parse(settings).and_then(settings::read).and_then(R::configure);
    let (reporter, plan) =
        configured.map_err(|problems| problems.0.into_iter().map(|p| of_reporter::Problem { at: p.at, message: p.message }).collect::<Vec<_>>())?;
    kept.replace(Some(reporter));
    Ok(plan_to_host(plan))
}

fn plan_to_host(plan: Plan) -> of_reporter::Plan {
    let endpoint = |mut e: crate::component::Endpoint| {
        if let (Some(fallback), Some(settings)) = (e.fallback.take(), e.settings.as_object_mut()) {
            settings.insert("fallback".into(), fallback);
        }
        of_reporter::Endpoint { name: e.name, kind: e.kind, settings: crate::json_text(&e.settings) }
    };
    of_reporter::Plan { endpoints: plan.endpoints.into_iter().map(endpoint).collect(), events: plan.events, uses: plan.uses }
}

/// A formatter's `configure`.
pub fn configure_formatter<F: Formatter>(kept: &RefCell<Option<F::Settings>>, settings: &str) -> Result<of_formatter::Plan, Vec<of_formatter::Problem>> {
    let read = parse(settings).and_then(settings::read::<F::Settings>).and_then(|settings| F::check(&settings).map(|()| settings));
    let settings = read.map_err(|problems| problems.0.into_iter().map(|p| of_formatter::Problem { at: p.at, message: p.message }).collect::<Vec<_>>())?;
    kept.replace(Some(settings));
    Ok(of_formatter::Plan { endpoints: Vec::new(), events: Vec::new(), uses: Vec::new() })
}

fn to_host(outcome: Result<Outcome, Failure>) -> Result<reporting::Outcome, reporting::Failure> {
    match outcome {
        Ok(Outcome::Sent) => Ok(reporting::Outcome::Sent),
        Ok(Outcome::Skipped(reason)) => Ok(reporting::Outcome::Skipped(reason)),
        Err(failure) => Err(reporting::Failure { message: failure.message, again: failure.again }),
    }
}

fn unconfigured() -> reporting::Failure {
    reporting::Failure { message: "configure was not called".into(), again: false }
}

/// A reporter's `report`.
pub fn report<R: Reporter>(
    kept: &RefCell<Option<R>>,
    event: formatter::reporter_host::reporter::events::Event,
) -> Result<reporting::Outcome, reporting::Failure> {
    let kept = kept.borrow();
    let reporter = kept.as_ref().ok_or_else(unconfigured)?;
    to_host(reporter.report(&Event::from_host(event)))
}

/// A reporter's `answered`.
pub fn answered<R: Reporter>(kept: &RefCell<Option<R>>, tag: &str, answer: &crate::http::Answer) -> Result<reporting::Outcome, reporting::Failure> {
    let kept = kept.borrow();
    let reporter = kept.as_ref().ok_or_else(unconfigured)?;
    to_host(reporter.answered(tag, answer))
}

/// A formatter's `format`.
pub fn format<F: Formatter>(
    kept: &RefCell<Option<F::Settings>>,
    slot: &str,
    subjects: formatter::reporter_host::reporter::events::Subjects,
    context: &str,
) -> Result<String, String> {
    let kept = kept.borrow();
    let settings = kept.as_ref().ok_or("configure was not called")?;
    let context = Context(serde_json::from_str(context).map_err(|error| format!("the context is no JSON object: {error}"))?);
    F::format(settings, slot, Subjects::from_host(subjects), context).map(|document| crate::json_text(&document.0))
}

/// The same for the world of conversations, whose exports have types of their own.
pub mod chat {
    use std::cell::RefCell;

    use crate::bindings::chat::exports::reporter_host::reporter::{component, reporting};
    use crate::bindings::formatter::reporter_host::reporter::events;
    use crate::bindings::reporter::exports::reporter_host::reporter::reporting as plain;
    use crate::chat::{ChatReporter, Update};
    use crate::component::{Failure, Reporter};

    /// `configure`.
    pub fn configure<R: Reporter>(kept: &RefCell<Option<R>>, settings: &str) -> Result<component::Plan, Vec<component::Problem>> {
        let plan = super::configure_reporter(kept, settings)
            .map_err(|problems| problems.into_iter().map(|it| component::Problem { at: it.at, message: it.message }).collect::<Vec<_>>())?;
        let endpoints = plan.endpoints.into_iter().map(|it| component::Endpoint { name: it.name, kind: it.kind, settings: it.settings });
        Ok(component::Plan { endpoints: endpoints.collect(), events: plan.events, uses: plan.uses })
    }

    /// `report`.
    pub fn report<R: Reporter>(kept: &RefCell<Option<R>>, event: events::Event) -> Result<reporting::Outcome, reporting::Failure> {
        of(super::report(kept, event))
    }

    /// `answered`.
    pub fn answered<R: Reporter>(kept: &RefCell<Option<R>>, tag: &str, answer: &crate::http::Answer) -> Result<reporting::Outcome, reporting::Failure> {
        of(super::answered(kept, tag, answer))
    }

    /// `heard`.
    pub fn heard<R: ChatReporter>(kept: &RefCell<Option<R>>, update: &str) -> Result<reporting::Outcome, reporting::Failure> {
        let kept = kept.borrow();
        let Some(reporter) = kept.as_ref() else { return of(Err(super::unconfigured())) };
        let heard = Update::parse(update).map_err(Failure::for_good).and_then(|update| reporter.heard(&update));
        of(super::to_host(heard))
    }

    fn of(outcome: Result<plain::Outcome, plain::Failure>) -> Result<reporting::Outcome, reporting::Failure> {
        match outcome {
            Ok(plain::Outcome::Sent) => Ok(reporting::Outcome::Sent),
            Ok(plain::Outcome::Skipped(reason)) => Ok(reporting::Outcome::Skipped(reason)),
            Err(failure) => Err(reporting::Failure { message: failure.message, again: failure.again }),
        }
    }
}
