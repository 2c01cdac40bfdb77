/// Files of the template.
pub const FILES: &[(&str, &str)] = &[];
