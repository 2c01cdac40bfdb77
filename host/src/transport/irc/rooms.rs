//! Who is in which channel, and with which signs.

use std::collections::HashMap;

/// The channels that the host is in.
pub(super) struct Rooms {
    rooms: HashMap<String, Room>,
    /// The letters of modes that give people signs.
    ranks: String,
}

impl Default for Rooms {
    fn default() -> Self {
        Self { rooms: HashMap::new(), ranks: "qaohv".into() }
    }
}

#[derive(Default)]
struct Room {
    people: HashMap<String, String>,
    /// Names that come in, until the end of the list.
    coming: Option<HashMap<String, String>>,
}

/// Signs of rank, the highest first.
const SIGNS: [char; 5] = ['~', '&', '@', '%', '+'];

/// How names are compared. Servers differ in a few signs; what is taken for different is no harm.
pub fn fold(name: &str) -> String {
    name.to_ascii_lowercase()
}

impl Rooms {
    /// What the server says of itself (005): `PREFIX=(ov)@+`.
    pub fn supports(&mut self, word: &str) {
        if let Some((letters, _)) = word.strip_prefix("PREFIX=(").and_then(|rest| rest.split_once(')')) {
            letters.clone_into(&mut self.ranks);
        }
    }

    /// Whether a change of modes (`+o-nt`) gives somebody a sign or takes it.
    pub fn is_of_rank(&self, modes: &str) -> bool {
        modes.contains(|letter: char| self.ranks.contains(letter))
    }

    pub fn enter(&mut self, channel: &str) {
        self.rooms.entry(fold(channel)).or_default();
    }

    pub fn leave(&mut self, channel: &str) {
        self.rooms.remove(&fold(channel));
    }

    pub fn is_in(&self, channel: &str) -> bool {
        self.rooms.contains_key(&fold(channel))
    }

    pub fn joined(&mut self, channel: &str, nick: &str) {
        if let Some(room) = self.rooms.get_mut(&fold(channel)) {
            room.people.insert(fold(nick), String::new());
        }
    }

    pub fn left(&mut self, channel: &str, nick: &str) {
        if let Some(room) = self.rooms.get_mut(&fold(channel)) {
            room.people.remove(&fold(nick));
        }
    }

    pub fn quit(&mut self, nick: &str) {
        let nick = fold(nick);
        self.rooms.values_mut().for_each(|room| {
            room.people.remove(&nick);
        });
    }

    pub fn renamed(&mut self, nick: &str, new: &str) {
        let (nick, new) = (fold(nick), fold(new));
        for room in self.rooms.values_mut() {
            if let Some(signs) = room.people.remove(&nick) {
                room.people.insert(new.clone(), signs);
            }
        }
    }

    /// A part of the list of names (353).
    pub fn names(&mut self, channel: &str, names: &str) {
        let Some(room) = self.rooms.get_mut(&fold(channel)) else { return };
        let coming = room.coming.get_or_insert_default();
        for name in names.split_whitespace() {
            let nick = name.trim_start_matches(SIGNS);
            coming.insert(fold(nick), name[..name.len() - nick.len()].to_owned());
        }
    }

    /// The end of the list (366).
    pub fn named(&mut self, channel: &str) {
        if let Some(room) = self.rooms.get_mut(&fold(channel))
            && let Some(coming) = room.coming.take()
        {
            room.people = coming;
        }
    }

    /// A person's signs in a channel.
    pub fn signs(&self, channel: &str, nick: &str) -> &str {
        self.rooms.get(&fold(channel)).and_then(|room| room.people.get(&fold(nick))).map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_follow_people() {
        let mut rooms = Rooms::default();
        rooms.names("#c", "@nobody");
        rooms.enter("#C");
        rooms.names("#c", "@Al +bo");
        rooms.names("#c", "~@eve dan");
        assert_eq!(rooms.signs("#c", "al"), "", "not before the list's end");
        rooms.named("#c");
        assert_eq!(["AL", "bo", "eve", "dan", "nobody"].map(|nick| rooms.signs("#c", nick)), ["@", "+", "~@", "", ""]);
        rooms.renamed("al", "alf");
        assert_eq!((rooms.signs("#c", "al"), rooms.signs("#c", "alf")), ("", "@"));
        assert!(rooms.is_of_rank("-nt+h") && !rooms.is_of_rank("+nt") && !rooms.is_of_rank(""));
        rooms.supports("PREFIX=(Yov)!@+");
        assert!(rooms.is_of_rank("+Y") && !rooms.is_of_rank("+h"));
        rooms.joined("#c", "bo");
        assert_eq!(rooms.signs("#c", "bo"), "", "whoever comes back has none");
        rooms.quit("alf");
        rooms.left("#c", "eve");
        assert_eq!(rooms.signs("#c", "alf").len() + rooms.signs("#c", "eve").len(), 0);
        rooms.leave("#c");
        assert!(!rooms.is_in("#c"));
    }
}
