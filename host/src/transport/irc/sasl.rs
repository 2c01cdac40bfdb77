//! SASL (RFC 4422, IRCv3 sasl-3.2): PLAIN, EXTERNAL and SCRAM-SHA-256 (RFC 5802, RFC 7677).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};

/// Rounds of PBKDF2 that are done for a server at most: it could ask for years.
const MOST_ROUNDS: u32 = 1_000_000;
/// Bytes of one AUTHENTICATE line.
const CHUNK: usize = 400;

/// A way to authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    External,
    ScramSha256,
    Plain,
}

impl Mechanism {
    pub fn name(self) -> &'static str {
        match self {
            Self::External => "EXTERNAL",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
        }
    }

    /// The best of those that the server offers (an empty list: it does not say which) and that can be done here.
    pub fn choose(offered: &str, certificate: bool, password: bool) -> Option<Self> {
        let offers = |mechanism: Self| offered.is_empty() || offered.split(',').any(|name| name.eq_ignore_ascii_case(mechanism.name()));
        if certificate && offers(Self::External) {
            return Some(Self::External);
        }
        // A server that does not say what it has is asked for what all of them have.
        if password && !offered.is_empty() && offers(Self::ScramSha256) {
            return Some(Self::ScramSha256);
        }
        (password && offers(Self::Plain)).then_some(Self::Plain)
    }
}

/// An exchange under way.
pub(super) enum Exchange {
    External { account: String },
    Plain { account: String, password: String },
    Scram(Scram),
}

impl Exchange {
    pub fn new(mechanism: Mechanism, account: &str, password: &str) -> Self {
        let (account, password) = (account.to_owned(), password.to_owned());
        match mechanism {
            Mechanism::External => Self::External { account },
            Mechanism::Plain => Self::Plain { account, password },
            Mechanism::ScramSha256 => Self::Scram(Scram::new(account, password, &nonce())),
        }
    }

    /// What to answer to the server's challenge.
    ///
    /// # Errors
    /// The server is not whom it says, or not of this world.
    pub fn answer(&mut self, challenge: &[u8]) -> Result<Vec<u8>, String> {
        match self {
            Self::External { account } => Ok(account.clone().into_bytes()),
            Self::Plain { account, password } => Ok(format!("{account}\0{account}\0{password}").into_bytes()),
            Self::Scram(scram) => scram.answer(challenge),
        }
    }

    /// Whether the server has proved that it knows the password too, where the mechanism has that.
    pub fn is_proven(&self) -> bool {
        match self {
            Self::Scram(scram) => matches!(scram.step, Step::Proven),
            _ => true,
        }
    }
}

/// The lines that carry an answer.
pub(super) fn lines(answer: &[u8]) -> Vec<String> {
    let text = STANDARD.encode(answer);
    let mut lines: Vec<String> = text.as_bytes().chunks(CHUNK).map(|chunk| String::from_utf8_lossy(chunk).into_owned()).collect();
    if text.len() % CHUNK == 0 {
        lines.push("+".into());
    }
    lines
}

/// What a challenge's line carries.
pub(super) fn decoded(line: &str) -> Option<Vec<u8>> {
    if line == "+" { Some(Vec::new()) } else { STANDARD.decode(line).ok() }
}

fn nonce() -> String {
    let mut bytes = [0; 18];
    // Without randomness nobody could be told from a recording: better an exchange that fails.
    if getrandom::fill(&mut bytes).is_err() {
        return String::new();
    }
    STANDARD.encode(bytes)
}

pub(super) struct Scram {
    password: String,
    first_bare: String,
    nonce: String,
    step: Step,
}

enum Step {
    First,
    Final,
    Proof(Vec<u8>),
    Proven,
}

impl Scram {
    fn new(account: String, password: String, nonce: &str) -> Self {
        let name = account.replace('=', "=3D").replace(',', "=2C");
        Self { password, first_bare: format!("n={name},r={nonce}"), nonce: nonce.to_owned(), step: Step::First }
    }

    fn answer(&mut self, challenge: &[u8]) -> Result<Vec<u8>, String> {
        match &self.step {
            Step::First if self.nonce.is_empty() => Err("this machine gives no random numbers".into()),
            Step::First => {
                self.step = Step::Final;
                Ok(format!("n,,{}", self.first_bare).into_bytes())
            }
            Step::Final => self.proof(challenge),
            Step::Proof(expected) => {
                let given = std::str::from_utf8(challenge).ok().and_then(|text| text.strip_prefix("v=")).and_then(|proof| STANDARD.decode(proof).ok());
                if given.as_deref() != Some(expected.as_slice()) {
                    return Err("the server does not know the password (SCRAM), so it is not the one that it says it is".into());
                }
                self.step = Step::Proven;
                Ok(Vec::new())
            }
            Step::Proven => Err("the server goes on after SCRAM's end".into()),
        }
    }

    fn proof(&mut self, challenge: &[u8]) -> Result<Vec<u8>, String> {
        let wrong = || "the server's SCRAM challenge makes no sense".to_owned();
        let first = std::str::from_utf8(challenge).map_err(|_| wrong())?;
        let part = |key: &str| first.split(',').find_map(|part| part.strip_prefix(key)).ok_or_else(wrong);
        let (nonce, salt, rounds) = (part("r=")?, STANDARD.decode(part("s=")?).map_err(|_| wrong())?, part("i=")?.parse::<u32>().map_err(|_| wrong())?);
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(wrong());
        }
        let rounds = std::num::NonZeroU32::new(rounds).filter(|rounds| rounds.get() <= MOST_ROUNDS).ok_or_else(wrong)?;
        let mut salted = [0; digest::SHA256_OUTPUT_LEN];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, self.password.as_bytes(), &mut salted);
        let without_proof = format!("c=biws,r={nonce}");
        let message = format!("{},{first},{without_proof}", self.first_bare);
        let keyed = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
        let client = keyed(&salted, b"Client Key");
        let stored = digest::digest(&digest::SHA256, client.as_ref());
        let signature = keyed(stored.as_ref(), message.as_bytes());
        let proof: Vec<u8> = client.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        let server = keyed(keyed(&salted, b"Server Key").as_ref(), message.as_bytes());
        self.step = Step::Proof(server.as_ref().to_vec());
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)).into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, 3.
    #[test]
    fn the_rfcs_scram() {
        let mut scram = Scram::new("user".into(), "pencil".into(), "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(scram.answer(b"").unwrap(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let first = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let last = scram.answer(first).unwrap();
        assert_eq!(
            String::from_utf8(last).unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(scram.answer(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap(), b"");
        assert!(matches!(scram.step, Step::Proven));
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_refused() {
        let begin = || {
            let mut scram = Scram::new("user".into(), "pencil".into(), "abc");
            scram.answer(b"").unwrap();
            scram
        };
        for challenge in ["r=xyz,s=QQ==,i=4096", "r=abc,s=QQ==,i=1", "r=abcd,s=QQ==,i=0", "r=abcd,s=QQ==,i=99999999", "r=abcd,s=!,i=1", "e=no"] {
            assert!(begin().answer(challenge.as_bytes()).is_err(), "{challenge}");
        }
        let mut scram = begin();
        scram.answer(b"r=abcd,s=QQ==,i=1").unwrap();
        assert!(scram.answer(b"v=AAAA").unwrap_err().contains("not the one"));
    }

    #[test]
    fn the_best_mechanism() {
        let choose = |offered, certificate, password| Mechanism::choose(offered, certificate, password).map(Mechanism::name);
        assert_eq!(choose("PLAIN,EXTERNAL", true, true), Some("EXTERNAL"));
        assert_eq!(choose("PLAIN,EXTERNAL", false, true), Some("PLAIN"));
        assert_eq!(choose("PLAIN,SCRAM-SHA-256", true, true), Some("SCRAM-SHA-256"));
        assert_eq!(choose("", false, true), Some("PLAIN"));
        assert_eq!(choose("EXTERNAL", false, true), None);
        assert_eq!(choose("PLAIN", false, false), None);
    }

    #[test]
    fn long_answers_take_several_lines() {
        assert_eq!(lines(b""), ["+"]);
        assert_eq!(lines(&[0; 300]).iter().map(String::len).collect::<Vec<_>>(), [400, 1]);
        assert_eq!(lines(&[0; 301]).iter().map(String::len).collect::<Vec<_>>(), [400, 4]);
        let mut plain = Exchange::new(Mechanism::Plain, "bot", "pw");
        assert_eq!(lines(&plain.answer(b"").unwrap()), ["Ym90AGJvdABwdw=="]);
    }
}
