//! Who gets a mail with whom: what one recipient needs, or a server has no room for, is not to cost the others theirs.

use std::collections::VecDeque;
use std::time::Duration;

use lettre::Address;

use super::super::{Answer, FailedKind, RecipientAnswer};
use super::address::is_international;
use super::transaction::{NEEDS_SMTPUTF8, NOT_PERMITTED, summed};

/// Too many recipients for one transaction (RFC 5321, 4.5.3.1.10).
const TOO_MANY: u16 = 452;
/// What is left of an attempt's time when a further transaction is given up: its end is still to be told.
pub(super) const MARGIN: Duration = Duration::from_secs(1);

/// The recipients of one transaction.
#[derive(Debug, PartialEq)]
pub(super) struct Batch {
    pub recipients: Vec<Address>,
    /// Whether it needs SMTPUTF8.
    pub international: bool,
}

/// The transactions to come, and who has a result without one.
#[derive(Debug)]
pub(super) struct Plan {
    pub waiting: VecDeque<Batch>,
    pub results: Vec<RecipientAnswer>,
}

/// Those who need SMTPUTF8 come last and by themselves: a mail that asks for it is bounced for everybody where one server on the way does not offer it.
pub(super) fn plan(recipients: Vec<Address>, sender: &Address, takes_international: bool) -> Plan {
    let all = is_international(sender);
    let (international, others): (Vec<_>, Vec<_>) = recipients.into_iter().partition(|address| all || is_international(address));
    let mut plan = Plan { waiting: VecDeque::new(), results: Vec::new() };
    let batch = |recipients: Vec<Address>, international| Some(Batch { recipients, international }).filter(|batch| !batch.recipients.is_empty());
    plan.waiting.extend(batch(others, false));
    if takes_international {
        plan.waiting.extend(batch(international, true));
    } else {
        let refused = |address: Address| RecipientAnswer { address: address.to_string(), status: NOT_PERMITTED, text: NEEDS_SMTPUTF8.to_owned() };
        plan.results.extend(international.into_iter().map(refused));
    }
    plan
}

/// The result of each; a transaction that broke is tried again for those who were in it.
pub(super) fn each(answer: Answer, recipients: &[Address]) -> Vec<(Address, RecipientAnswer)> {
    let (status, text) = match &answer.error {
        Some(failed) if failed.kind == FailedKind::Never => (554, failed.message.clone()),
        Some(failed) => (451, failed.message.clone()),
        None => (answer.status, String::from_utf8_lossy(&answer.body).into_owned()),
    };
    let of = |address: &Address| {
        let bare = address.to_string();
        let own = answer.recipients.iter().find(|result| result.address == bare).cloned();
        (address.clone(), own.unwrap_or_else(|| RecipientAnswer { address: bare, status, text: text.clone() }))
    };
    recipients.iter().map(of).collect()
}

/// Those for whom there was no room beside others who were taken, and the results of the rest.
pub(super) fn more(results: Vec<(Address, RecipientAnswer)>) -> (Vec<Address>, Vec<RecipientAnswer>) {
    let taken = results.iter().any(|(_, result)| (200..300).contains(&result.status));
    let (more, ended): (Vec<_>, Vec<_>) = results.into_iter().partition(|(_, result)| taken && result.status == TOO_MANY);
    (more.into_iter().map(|(address, _)| address).collect(), ended.into_iter().map(|(_, result)| result).collect())
}

/// One answer for all of them.
pub(super) fn in_order(mut results: Vec<RecipientAnswer>, everybody: &[Address]) -> Answer {
    results.sort_by_cached_key(|result| everybody.iter().position(|address| AsRef::<str>::as_ref(address) == result.address));
    summed(results)
}
