//! Every key that the host itself understands: what is refused as unknown, what editors are told
//! and what docs/settings.md has to mention all come from here.

/// A key of the settings file.
#[derive(Clone, Copy, Debug)]
pub struct HostKey {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub form: Form,
    /// What it is for.
    pub doc: &'static str,
}

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number from 0.
    Count,
    /// `"24 h"`, or seconds.
    Duration,
    /// `"2 GiB"`, or bytes.
    Size,
    /// A date and time with its zone, or seconds since 1970.
    Moment,
    /// Text, or `{ secret = "name" }`.
    Secret,
    /// Text, or a list of texts.
    Texts,
    /// `true`, `false` or a file's path.
    Verify,
    /// A table with these keys.
    Table(&'static [HostKey]),
    /// One or more tables with these keys.
    Tables(&'static [HostKey]),
    /// Something with rules of its own.
    Own,
}

const fn key(name: &'static str, form: Form, doc: &'static str) -> HostKey {
    HostKey { name, form, doc }
}

impl PartialEq for HostKey {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl Eq for HostKey {}

/// The top of the file.
pub const TOP: &[HostKey] = &[
    key("include", Form::Texts, "Further settings files, relative to this one; `*` and `?` in a file name match many."),
    key("host", Form::Table(HOST), "The host itself."),
    key("masters", Form::Tables(MASTER), "Buildbot masters that events come from."),
    key("inboxes", Form::Tables(INBOX), "Addresses to which any CI can post events."),
    key("recordings", Form::Tables(RECORDING), "Recorded events, played once."),
    key("services", Form::Tables(SERVICE), "Reporters: what is told to whom."),
    key("secrets", Form::Own, "Where secrets are: `name = { file = … }`, `name = { env = … }`, `folder = …`."),
    key("limits", Form::Table(LIMITS), "What one call of a component may use, for all services."),
    key("retention", Form::Table(RETENTION), "What is kept of the past."),
    key("network", Form::Table(NETWORK), "Addresses that may and may not be connected to."),
];

/// `[host]`
pub const HOST: &[HostKey] = &[
    key("state_dir", Form::Text, "Folder of the store; default `reporter-host.state` beside the settings file."),
    key("sink", Form::Flag, "Send nothing outside: every message is taken by the host itself and shown by `run`; to try settings."),
    key("webhooks", Form::Text, "Address and port at which posts to the webhooks of bots are taken: `127.0.0.1:8090`. Their public address leads there."),
    key("log", Form::Text, "What goes to the log: `error`, `warn`, `info`, `debug`, or a filter as tracing knows them."),
];

/// `[[masters]]`
pub const MASTER: &[HostKey] = &[
    key("name", Form::Text, "Its name, part of every event's id; default `main`."),
    key("url", Form::Text, "The master's `buildbotURL`."),
    key("user", Form::Secret, "User name, if the master wants a login."),
    key("password", Form::Secret, "Password, if the master wants a login."),
    key("catch_up_from", Form::Moment, "Where the first start begins; default: now."),
    key("catch_up_max", Form::Duration, "How long an absence of the host is caught up; default 24 h."),
    key("poll_every", Form::Duration, "How often REST is asked beside the WebSocket; default 60 s."),
    key("worker_missing_after", Form::Duration, "When a worker counts as missing that went away while the host was; default 1 h."),
    key("most_log_bytes", Form::Size, "How much of one log is read; default 16 MiB."),
    key("verify", Form::Verify, "Whether TLS certificates are verified, or the authorities' PEM file."),
    key("shutdown_command", Form::Texts, "Program and arguments that begin a clean shutdown, for bots; default: workers are paused."),
    key("stop_command", Form::Texts, "Program and arguments that end the master at once, for bots."),
];

/// `[[inboxes]]`
pub const INBOX: &[HostKey] = &[
    key("name", Form::Text, "Its name, part of every event's id; default `main`."),
    key("listen", Form::Text, "Address and port: `127.0.0.1:8085`."),
    key("path", Form::Text, "Path of the posts; default `/events`."),
    key("token", Form::Secret, "Bearer token that posts must carry."),
    key("most_bytes", Form::Size, "Size limit of one post; default 4 MiB."),
    key("title", Form::Text, "What a master's title would be."),
    key("url", Form::Text, "Public URL of the CI, for links."),
];

/// `[[recordings]]`
pub const RECORDING: &[HostKey] = &[
    key("name", Form::Text, "Its name, part of every event's id; default `main`."),
    key("file", Form::Text, "JSON Lines file that `reporter-host record` wrote."),
];

/// `[[services]]`, beside the reporter's own arguments.
pub const SERVICE: &[HostKey] = &[
    key("reporter", Form::Text, "A built-in reporter, by its documented name."),
    key("component", Form::Text, "A reporter of your own: path of a WebAssembly component."),
    key("name", Form::Text, "The entry's name; default the reporter's, with a number from the second on."),
    key("masters", Form::Texts, "Names of the masters, inboxes and recordings that it follows; default: all."),
    key("allow", Form::Texts, "URLs below which it may send: `https://api.github.com`, `smtp://mail.example.org:25`, `irc://irc.example.org:6697`."),
    key("secrets", Form::Own, "Secrets that it may use: a list of names, or a table of names and their endpoints."),
    key("limits", Form::Table(LIMITS), "What one call may use, where it differs from `[limits]`."),
    key("expires_after", Form::Duration, "How long a delivery is of use; default 3 days."),
    key("enabled", Form::Flag, "`false` leaves the entry out; default `true`."),
];

/// A formatter in a setting that takes one.
pub const FORMATTER: &[HostKey] = &[
    key("component", Form::Text, "Path of a formatter component."),
    key("settings", Form::Own, "The formatter's own settings."),
    key("limits", Form::Table(LIMITS), "What one call of it may use, where it differs from the service's limits."),
];

/// `[limits]` and `limits` of a service.
pub const LIMITS: &[HostKey] = &[
    key("compute_ms", Form::Count, "Milliseconds computing; default 1000."),
    key("wait_ms", Form::Count, "Milliseconds from start to end, waiting included; default 60000."),
    key("memory_mib", Form::Count, "MiB of memory, at most 256; default 16."),
    key("sends", Form::Count, "Deliveries; default 100."),
    key("send_kib", Form::Count, "KiB of all deliveries together; default 8192."),
    key("log_lines", Form::Count, "Lines kept of what it logs; default 200."),
    key("read_kib", Form::Count, "KiB handed to it of events and logs; default 65536."),
    key("queries", Form::Count, "Queries and calls of formatters; default 50."),
    key("state_kib", Form::Count, "KiB of state kept between calls; default 64."),
    key("component_mib", Form::Count, "MiB of the component's file; default 32."),
    key("compile_ms", Form::Count, "Milliseconds compiling it; default 60000."),
    key("compile_mib", Form::Count, "MiB of memory compiling it; default 2048."),
];

/// `[retention]`
pub const RETENTION: &[HostKey] = &[
    key("age", Form::Duration, "What has ended is removed after this time; default 30 days."),
    key("size", Form::Size, "How large the store may be; the oldest that has ended goes first; default 2 GiB."),
];

/// `[network]`
pub const NETWORK: &[HostKey] = &[
    key("allow", Form::Texts, "Addresses or networks (`10.1.0.0/16`) that may be connected to whatever else denies them."),
    key("deny", Form::Texts, "Addresses or networks that are never connected to."),
];
