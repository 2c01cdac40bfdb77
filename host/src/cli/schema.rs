//! `schema`: the JSON Schema of the settings file.

use super::{Context, Failure};
use crate::sandbox::Limits;
use crate::tenant::settings::{ComponentRef, schema};

/// Prints the schema with the arguments of every built-in reporter.
pub(super) fn print(context: &Context<'_>) -> Result<(), Failure> {
    let describe = context.host.describe();
    let reporters: Result<Vec<_>, _> =
        describe.built_in().into_iter().map(|name| describe.describe(&ComponentRef::BuiltIn(name), &Limits::default())).collect();
    let schema = schema(&reporters.map_err(Failure::Failed)?);
    context.output.line(&format!("{schema:#}"));
    Ok(())
}
