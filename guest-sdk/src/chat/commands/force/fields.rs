//! The fields of a ForceScheduler (`all_fields` in the REST API), and what is put into them.

use serde_json::{Value, json};

use super::Parameters;
use super::options::Options;
use crate::chat::bot::readable;

/// What says who forced a build.
const OF_USER: [&str; 2] = ["username", "owner"];

/// A ForceScheduler.
#[derive(Clone, Debug)]
pub struct Scheduler {
    /// Its name.
    pub name: String,
    /// As people call it.
    pub label: String,
    /// The builders that it lists.
    pub builders: Vec<String>,
    /// Its fields in order, those within groups too.
    pub fields: Vec<Field>,
}

/// A field that is no group.
#[derive(Clone, Debug)]
pub struct Field {
    /// As the control call names it.
    pub full: String,
    /// As people call it.
    pub label: String,
    /// The title of the group that it is in, or empty.
    pub section: String,
    /// Whether a build needs it.
    pub required: bool,
    /// Whether it takes several of its choices.
    pub multiple: bool,
    /// What it takes; empty: anything.
    pub choices: Vec<String>,
    /// What the master takes if it is left out.
    pub default: Value,
    name: String,
    kind: String,
    /// The names of the groups that it is in, those without a name left out.
    groups: Vec<String>,
}

impl Scheduler {
    /// Reads it.
    pub fn of(row: &Value) -> Self {
        let mut fields = Vec::new();
        for field in row["all_fields"].as_array().into_iter().flatten() {
            flatten(field, &[], "", &mut fields);
        }
        let text = |key: &str| row[key].as_str().filter(|text| !text.is_empty());
        let name = text("name").unwrap_or_default().to_owned();
        let label = text("label").unwrap_or(&name).to_owned();
        let builders = row["builder_names"].as_array().into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect();
        Self { name, label, builders, fields }
    }

    /// The fields that people fill in.
    pub fn open(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.is_settable() && !field.is_of_user())
    }

    /// What the control call takes, of values by the fields' full names.
    ///
    /// # Errors
    ///
    /// What this scheduler does not take: a sentence.
    pub fn filled(&self, values: &[(String, String)], reason: &str) -> Result<Parameters, String> {
        let mut parameters = Parameters::new();
        for (full, text) in values {
            let field = self.open().find(|field| field.full == *full);
            let field = field.ok_or_else(|| format!("The ForceScheduler {} has no field {}.", self.name, readable(full)))?;
            parameters.insert(full.clone(), field.value(text, &self.name)?);
        }
        self.give_reason(&mut parameters, reason);
        Ok(parameters)
    }

    /// The fields that a build needs and that are neither given nor have a default.
    pub fn missing(&self, given: &Parameters) -> Vec<&Field> {
        // A default counts for the master as long as the field is left out.
        let without = |field: &&Field| {
            let empty = match &field.default {
                Value::Null => true,
                Value::String(text) => text.is_empty(),
                Value::Array(items) => items.is_empty(),
                _ => false,
            };
            field.required && field.is_settable() && !field.is_of_user() && field.full != "reason" && !given.contains_key(&field.full) && empty
        };
        self.fields.iter().filter(without).collect()
    }

    fn give_reason(&self, parameters: &mut Parameters, reason: &str) {
        if let Some(field) = self.fields.iter().find(|field| field.full == "reason" && field.is_settable()) {
            parameters.insert(field.full.clone(), json!(reason));
        }
    }

    /// What the control call takes.
    ///
    /// # Errors
    ///
    /// What this scheduler does not take, or wants beside: a sentence.
    pub fn parameters(&self, options: &Options, reason: &str) -> Result<Parameters, String> {
        let mut parameters = Parameters::new();
        for (name, value) in &options.source {
            let field = self.of_source(name, options.codebase.as_deref()).ok_or_else(|| {
                let of = options.codebase.as_ref().map(|codebase| format!(" of codebase {}", readable(codebase))).unwrap_or_default();
                format!("The ForceScheduler {} takes no {name}{of}.", self.name)
            })?;
            parameters.insert(field.full.clone(), field.value(value, &self.name)?);
        }
        if let Some(codebase) = options.codebase.as_deref().filter(|codebase| !codebase.is_empty())
            && !self.fields.iter().any(|field| field.groups.iter().any(|group| group == codebase))
        {
            return Err(format!("The ForceScheduler {} has no codebase {}.", self.name, readable(codebase)));
        }
        let mut any: Vec<(&Field, &Field)> = self.any_properties();
        for (name, value) in &options.props {
            if self.fields.iter().any(|field| field.full == *name && field.is_of_user()) || OF_USER.contains(&name.as_str()) {
                return Err(format!(
                    "{} says who forced a build, and cannot be given: it is the account of this bot, and the reason tells who asked.",
                    readable(name)
                ));
            }
            let settable = |field: &&Field| field.full == *name && field.is_settable();
            if let Some(field) = self.fields.iter().find(settable) {
                parameters.insert(field.full.clone(), field.value(value, &self.name)?);
            } else if let Some((of_name, of_value)) = any.pop() {
                parameters.insert(of_name.full.clone(), json!(name));
                parameters.insert(of_value.full.clone(), json!(value));
            } else {
                return Err(format!("The ForceScheduler {} does not take the property {}; it takes {}.", self.name, readable(name), self.taken()));
            }
        }
        self.give_reason(&mut parameters, reason);
        let wanted: Vec<&str> = self.missing(&parameters).into_iter().map(|field| field.full.as_str()).collect();
        if !wanted.is_empty() {
            let example: Vec<String> = wanted.iter().map(|field| format!("{field}=…")).collect();
            return Err(format!("The ForceScheduler {} wants {} too: --props={}", self.name, wanted.join(", "), example.join(",")));
        }
        Ok(parameters)
    }

    /// The field for `branch`, `revision` or `project` of a codebase; without one, of the first.
    fn of_source(&self, name: &str, codebase: Option<&str>) -> Option<&Field> {
        let mut fields = self.fields.iter().filter(|field| field.name == name && field.kind != "fixed");
        match codebase.filter(|codebase| !codebase.is_empty()) {
            Some(codebase) => fields.find(|field| field.groups.iter().any(|group| group == codebase)),
            None => fields.find(|field| field.full == name || field.full.ends_with(&format!("_{name}"))),
        }
    }

    /// Pairs of fields that take any property: a group with `name` and `value`, the first last.
    fn any_properties(&self) -> Vec<(&Field, &Field)> {
        let value_of = |name: &Field| self.fields.iter().find(|field| field.name == "value" && field.groups == name.groups);
        let names = self.fields.iter().filter(|field| field.name == "name" && !field.groups.is_empty());
        names.filter_map(|name| Some((name, value_of(name)?))).rev().collect()
    }

    fn taken(&self) -> String {
        let own: Vec<&str> = self
            .fields
            .iter()
            .filter(|field| {
                field.is_settable()
                    && !field.is_of_user()
                    && !["reason", "priority", "branch", "revision", "project", "repository"].contains(&field.name.as_str())
            })
            .map(|field| field.full.as_str())
            .collect();
        if own.is_empty() { "none".into() } else { own.join(", ") }
    }
}

impl Field {
    /// Whether it is a yes or a no.
    pub fn is_bool(&self) -> bool {
        self.kind == "bool"
    }

    /// The default, as it is written; or empty.
    pub fn default_text(&self) -> String {
        match &self.default {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            Value::Bool(yes) => (if *yes { "yes" } else { "no" }).to_owned(),
            Value::Array(items) => items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect::<Vec<_>>().join("|"),
            other => other.to_string(),
        }
    }

    /// Whether it says who forces the build. Only the master knows that.
    fn is_of_user(&self) -> bool {
        self.kind == "username" || OF_USER.contains(&self.full.as_str())
    }

    fn is_settable(&self) -> bool {
        self.kind != "fixed"
    }

    /// A value in the form that the master wants for this kind of field.
    fn value(&self, text: &str, scheduler: &str) -> Result<Value, String> {
        let wrong = |what: String| format!("{} of the ForceScheduler {scheduler} {what}, not {}.", self.full, readable(text));
        match self.kind.as_str() {
            "bool" => match text.to_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Ok(json!(true)),
                "false" | "no" | "off" | "0" | "" => Ok(json!(false)),
                _ => Err(wrong("is true or false".into())),
            },
            "int" => text.trim().parse::<i64>().map(|number| json!(number.to_string())).map_err(|_| wrong("is a number".into())),
            "list" => {
                let given: Vec<&str> = if self.multiple { text.split('|').collect() } else { vec![text] };
                if !self.choices.is_empty() && given.iter().any(|one| !self.choices.iter().any(|choice| choice == one)) {
                    return Err(wrong(format!("is one of {}", self.choices.join(", "))));
                }
                Ok(if self.multiple { json!(given) } else { json!(text) })
            }
            _ => Ok(json!(text)),
        }
    }
}

fn flatten(field: &Value, groups: &[String], section: &str, into: &mut Vec<Field>) {
    let text = |key: &str| field[key].as_str().unwrap_or_default().to_owned();
    if let Some(inner) = field["fields"].as_array() {
        let mut groups = groups.to_vec();
        groups.extend(Some(text("name")).filter(|name| !name.is_empty()));
        let label = text("label");
        let section = if label.is_empty() { section } else { &label };
        inner.iter().for_each(|field| flatten(field, &groups, section, into));
        return;
    }
    let full = if text("fullName").is_empty() { text("name") } else { text("fullName") };
    let label = text("label").trim().trim_end_matches(':').to_owned();
    // What is not strict only proposes.
    let choices = field.get("choices").filter(|_| field["strict"].as_bool() != Some(false)).unwrap_or(&Value::Null);
    let choices = choices.as_array().into_iter().flatten().filter_map(|choice| choice.as_str().map(str::to_owned)).collect();
    into.push(Field {
        label: if label.is_empty() { full.clone() } else { label },
        section: section.to_owned(),
        full,
        name: text("name"),
        kind: text("type"),
        required: field["required"].as_bool() == Some(true),
        multiple: field["multiple"].as_bool() == Some(true),
        choices,
        default: field["default"].clone(),
        groups: groups.to_vec(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a master of 4.3 answers.
    fn nested() -> Scheduler {
        let text = |name: &str, full: &str| json!({"type": "text", "name": name, "fullName": full, "default": ""});
        Scheduler::of(&json!({"name": "force", "all_fields": [
            {"type": "nested", "name": "", "fields": [{"type": "username", "name": "username", "fullName": "username"}, {"type": "text", "name": "reason", "fullName": "reason"}]},
            {"type": "nested", "name": "lib", "fields": [text("branch", "lib_branch"), text("revision", "lib_revision")]},
            {"type": "nested", "name": "app", "fields": [text("branch", "app_branch"), {"type": "fixed", "name": "revision", "fullName": "app_revision"}]},
            {"type": "nested", "name": "opts", "fields": [
                {"type": "text", "name": "target", "fullName": "opts_target", "required": true, "default": ""},
                {"type": "int", "name": "jobs", "fullName": "opts_jobs", "default": 4},
                {"type": "bool", "name": "clean", "fullName": "opts_clean", "default": false},
                {"type": "list", "name": "level", "fullName": "opts_level", "choices": ["a", "b"], "multiple": true}]},
            {"type": "nested", "name": "extra", "fields": [text("name", "extra_name"), text("value", "extra_value")]}
        ]}))
    }

    fn options(line: &str) -> Options {
        Options::parse(&crate::chat::split(line).unwrap()).unwrap()
    }

    #[test]
    fn values_go_where_the_scheduler_wants_them() {
        let line = "--codebase=app --branch=dev --props=opts_target=all,opts_jobs=2,opts_clean=yes,opts_level=a|b,free=1 linux why";
        let parameters = nested().parameters(&options(line), "forced by alice: why").unwrap();
        assert_eq!(
            Value::Object(parameters),
            json!({"app_branch": "dev", "opts_target": "all", "opts_jobs": "2", "opts_clean": true, "opts_level": ["a", "b"],
                   "extra_name": "free", "extra_value": "1", "reason": "forced by alice: why"})
        );
        let first = nested().parameters(&options("--branch=dev --props=opts_target=all linux"), "r").unwrap();
        assert_eq!(first["lib_branch"], "dev");
    }

    #[test]
    fn what_it_does_not_take_is_said() {
        for (line, part) in [
            ("linux", "wants opts_target too: --props=opts_target=…"),
            ("--codebase=app --revision=1 --props=opts_target=x linux", "takes no revision of codebase app"),
            ("--codebase=nope --props=opts_target=x linux", "no codebase nope"),
            ("--project=p --props=opts_target=x linux", "takes no project"),
            ("--props=opts_target=x,opts_jobs=many linux", "is a number"),
            ("--props=opts_target=x,opts_clean=maybe linux", "true or false"),
            ("--props=opts_target=x,opts_level=c linux", "one of a, b"),
            ("--props=opts_target=x,one=1,two=2 linux", "does not take the property two"),
            ("--props=opts_target=x,username=boss linux", "username says who forced a build"),
            ("--props=opts_target=x,owner=boss linux", "owner says who forced a build"),
        ] {
            let said = nested().parameters(&options(line), "r").unwrap_err();
            assert!(said.contains(part), "{line}: {said}");
        }
    }
}
