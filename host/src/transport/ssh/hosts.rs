//! Servers' keys: a file in the form of OpenSSH's `known_hosts` (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).
//!
//! Names with `*`, `?` and `!`, `[name]:port` for ports other than 22, hashed names and `@revoked` are understood; authorities
//! (`@cert-authority`) are not, for a server's bare key is what is asked for. A line that cannot be read counts for nothing.

use ring::hmac;
use russh::keys::ssh_key::HashAlg;
use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns, Marker};
use russh::keys::{Algorithm, PublicKey};

/// The keys that a file has for one server.
#[derive(Clone, Debug)]
pub(super) struct Known {
    name: String,
    file: String,
    keys: Vec<PublicKey>,
    revoked: Vec<PublicKey>,
}

impl Known {
    /// From the text of `file`.
    pub(super) fn read(text: &str, file: &str, host: &str, port: u16) -> Self {
        let host = host.trim_matches(['[', ']']).to_lowercase();
        let name = if port == 22 { host } else { format!("[{host}]:{port}") };
        let mut known = Self { file: file.to_owned(), keys: Vec::new(), revoked: Vec::new(), name };
        for entry in text.lines().map(str::trim).filter(|line| !line.starts_with('#')).filter_map(|line| line.parse::<Entry>().ok()) {
            if !covers(entry.host_patterns(), &known.name) {
                continue;
            }
            match entry.marker() {
                None => known.keys.push(entry.public_key().clone()),
                Some(Marker::Revoked) => known.revoked.push(entry.public_key().clone()),
                Some(Marker::CertAuthority) => {}
            }
        }
        known
    }

    /// `all`, those of known keys first: a server with several keys is to show one that can be checked.
    pub(super) fn first(&self, all: &[Algorithm]) -> Vec<Algorithm> {
        let bare = |algorithm: &Algorithm| match algorithm {
            Algorithm::Rsa { .. } => Algorithm::Rsa { hash: None },
            other => other.clone(),
        };
        let mut all = all.to_vec();
        all.sort_by_key(|algorithm| !self.keys.iter().any(|key| bare(&key.algorithm()) == bare(algorithm)));
        all
    }

    /// Whether this is the server's key.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub(super) fn check(&self, key: &PublicKey) -> Result<(), String> {
        let (name, file) = (&self.name, &self.file);
        let fingerprint = key.fingerprint(HashAlg::Sha256);
        let shown = format!("{} {fingerprint}", key.algorithm());
        let is = |other: &PublicKey| other.key_data() == key.key_data();
        if self.revoked.iter().any(is) {
            return Err(format!("the key of {name} ({shown}) is revoked in {file}; nothing is sent there"));
        }
        if self.keys.iter().any(is) {
            return Ok(());
        }
        if !self.keys.is_empty() {
            let known: Vec<_> = self.keys.iter().map(|key| format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))).collect();
            return Err(format!(
                "the key of {name} is {shown}, and {file} has another one ({}): either the server got a new key, or somebody else answers in its place; \
                 nothing is sent there. If its administrator confirms the new key, replace the line in {file}",
                known.join(", ")
            ));
        }
        let line = PublicKey::from(key.key_data().clone()).to_openssh().unwrap_or_default();
        Err(format!("the key of {name} is not known: {shown}. If that is the fingerprint that its administrator tells, add this line to {file}: {name} {line}"))
    }
}

fn covers(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        HostPatterns::HashedName { salt, hash } => {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
            hmac::verify(&key, name.as_bytes(), hash).is_ok()
        }
        HostPatterns::Patterns(patterns) => {
            let (not, yes): (Vec<&str>, Vec<&str>) = patterns.iter().map(String::as_str).partition(|pattern| pattern.starts_with('!'));
            let fits = |pattern: &str| glob(pattern.to_lowercase().as_bytes(), name.as_bytes());
            yes.into_iter().any(fits) && !not.into_iter().any(|pattern| fits(&pattern[1..]))
        }
    }
}

/// `*` for any characters, `?` for one. Goes back to the last `*` only, so it takes no longer than both lengths multiplied.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match (pattern.get(p), star) {
            (Some(b'*'), _) => {
                star = Some((p, n));
                p += 1;
            }
            (Some(&c), _) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            (_, Some((at, from))) => {
                star = Some((at, from + 1));
                p = at + 1;
                n = from + 1;
            }
            (_, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";

    fn check(file: &str, host: &str, port: u16, key: &str) -> Result<(), String> {
        Known::read(file, "/known", host, port).check(&PublicKey::from_openssh(key).unwrap())
    }

    #[test]
    fn names_ports_and_patterns() {
        for (line, host, port, known) in [
            ("gerrit.example.org", "gerrit.example.org", 22, true),
            ("gerrit.example.org", "Gerrit.Example.Org", 22, true),
            ("gerrit.example.org", "gerrit.example.org", 29418, false),
            ("[gerrit.example.org]:29418", "gerrit.example.org", 29418, true),
            ("[gerrit.example.org]:29418", "gerrit.example.org", 29419, false),
            ("a,b.example.org,192.0.2.1", "192.0.2.1", 22, true),
            ("*.example.org", "gerrit.example.org", 22, true),
            ("[*.example.org]:2941?", "gerrit.example.org", 29418, true),
            ("*.example.org,!gerrit.example.org", "gerrit.example.org", 22, false),
            ("*a*b", "xaxxb", 22, true),
            ("*a*b", "xaxxc", 22, false),
            ("[::1]:29418", "[::1]", 29418, true),
        ] {
            assert_eq!(check(&format!("{line} {ONE}\n"), host, port, ONE).is_ok(), known, "{line} {host}:{port}");
        }
    }

    #[test]
    fn hashed_names() {
        let file = format!("|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak= {OTHER}\n");
        assert_eq!(check(&file, "example.com", 22, OTHER), Ok(()));
        assert!(check(&file, "example.org", 22, OTHER).unwrap_err().contains("is not known"));
    }

    #[test]
    fn what_an_operator_is_told() {
        let unknown = check("# nothing\nnonsense\n", "gerrit.example.org", 29418, ONE).unwrap_err();
        assert!(unknown.contains("the key of [gerrit.example.org]:29418 is not known: ssh-ed25519 SHA256:"), "{unknown}");
        assert!(unknown.ends_with(&format!("add this line to /known: [gerrit.example.org]:29418 {ONE}")), "{unknown}");
        let changed = check(&format!("h {OTHER}\n"), "h", 22, ONE).unwrap_err();
        assert!(changed.contains("/known has another one") && changed.contains("nothing is sent there"), "{changed}");
        let revoked = check(&format!("h {ONE}\n@revoked h {ONE}\n"), "h", 22, ONE).unwrap_err();
        assert!(revoked.contains("is revoked"), "{revoked}");
        assert_eq!(check(&format!("h {OTHER}\nh {ONE} a comment\n"), "h", 22, ONE), Ok(()));
        assert!(check(&format!("@cert-authority h {ONE}\n"), "h", 22, ONE).is_err());
    }

    #[test]
    fn known_algorithms_come_first() {
        let ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=";
        let known = Known::read(&format!("h {ecdsa}\n"), "/known", "h", 22);
        let all = [Algorithm::Ed25519, Algorithm::Ecdsa { curve: russh::keys::EcdsaCurve::NistP256 }];
        assert_eq!(known.first(&all), [all[1].clone(), all[0].clone()]);
        assert_eq!(Known::read("", "/known", "h", 22).first(&all), all);
    }
}
