//! A message on its way out: what was put together, and spooled logs that are read and encoded while it goes.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes of a line of base64, before and after it is encoded (RFC 2045).
const LINE: (usize, usize) = (57, 76);
/// Lines read at once.
const LINES: usize = 512;
/// Bytes of a piece of what was put together.
const WRITTEN: usize = 32 << 10;
/// What stands in the place of what cannot be read any more: an attachment must not cost the mail.
const UNREAD: &[u8] = b"\nreporter-host could not read the rest of this log.\n";

/// The message in pieces of some 40 KiB, without dots stuffed. Files are read as they are asked for: the network is slower than they are.
pub(super) struct Outgoing {
    pieces: VecDeque<Piece>,
}

enum Piece {
    Written(Vec<u8>),
    Log { file: File, begun: bool },
}

impl Outgoing {
    /// The message `written`, in which each of `logs` is to stand, in this order, where its marker is.
    pub(super) fn new(written: Vec<u8>, logs: Vec<(String, File)>) -> Self {
        let mut pieces = VecDeque::new();
        let mut rest = written;
        for (marker, file) in logs {
            let Some(at) = rest.windows(marker.len()).position(|window| window == marker.as_bytes()) else { continue };
            let after = rest.split_off(at).split_off(marker.len());
            pieces.extend(in_pieces(&std::mem::replace(&mut rest, after)));
            pieces.push_back(Piece::Log { file, begun: false });
        }
        pieces.extend(in_pieces(&rest));
        Self { pieces }
    }
}

impl Iterator for Outgoing {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            match self.pieces.front_mut()? {
                Piece::Log { file, begun } => {
                    let mut bytes = vec![0; LINE.0 * LINES];
                    let (read, failed) = fill(file, &mut bytes);
                    bytes.truncate(read);
                    if let Some(error) = failed {
                        tracing::error!("an attached log cannot be read: {error}");
                        bytes.extend_from_slice(UNREAD);
                    }
                    let encoded = encoded(&bytes, *begun);
                    *begun = true;
                    // Shorter than what was asked for: that was its end.
                    if bytes.len() != LINE.0 * LINES {
                        self.pieces.pop_front();
                    }
                    if !encoded.is_empty() {
                        return Some(encoded);
                    }
                }
                Piece::Written(_) => {
                    let Some(Piece::Written(bytes)) = self.pieces.pop_front() else { return None };
                    return Some(bytes);
                }
            }
        }
    }
}

fn in_pieces(written: &[u8]) -> impl Iterator<Item = Piece> {
    written.chunks(WRITTEN).map(|piece| Piece::Written(piece.to_vec()))
}

/// Reads until there is no more room, or no more to read.
fn fill(file: &mut File, bytes: &mut [u8]) -> (usize, Option<io::Error>) {
    let mut read = 0;
    while read < bytes.len() {
        match file.read(&mut bytes[read..]) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (read, Some(error)),
        }
    }
    (read, None)
}

/// Lines of base64 with line ends between them, and one before them if others went ahead.
fn encoded(bytes: &[u8], follows: bool) -> Vec<u8> {
    let mut out = String::with_capacity(bytes.len().div_ceil(LINE.0) * (LINE.1 + 2));
    for (n, line) in bytes.chunks(LINE.0).enumerate() {
        if n > 0 || follows {
            out.push_str("\r\n");
        }
        STANDARD.encode_string(line, &mut out);
    }
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn logs_stand_where_their_markers_are_in_pieces_that_are_small() {
        for size in [0, 1, 57, 58, LINE.0 * LINES - 1, LINE.0 * LINES, LINE.0 * LINES + 1, 3 * LINE.0 * LINES + 100] {
            let content: Vec<u8> = (0..=255).cycle().take(size).collect();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("log");
            File::create(&path).unwrap().write_all(&content).unwrap();
            let logs = ["m1m", "m2m"].map(|marker| (marker.to_owned(), File::open(&path).unwrap()));
            let pieces: Vec<Vec<u8>> = Outgoing::new(b"head\r\n\r\nm1m\r\n--x\r\nm2m\r\n--x--\r\n".to_vec(), logs.into()).collect();
            assert!(pieces.iter().all(|piece| piece.len() <= 40 << 10));
            let text = String::from_utf8(pieces.concat()).unwrap();
            let lines: Vec<&str> = text.split("\r\n").collect();
            assert!(lines.iter().all(|line| line.len() <= 76 && !line.contains('\n')));
            let between = |from: &str, to: &str| {
                let from = lines.iter().position(|line| *line == from).unwrap() + if from == "head" { 2 } else { 1 };
                let to = lines.iter().position(|line| *line == to).unwrap();
                STANDARD.decode(lines[from..to].concat()).unwrap()
            };
            assert_eq!((between("head", "--x"), between("--x", "--x--")), (content.clone(), content), "{size}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_said_in_its_place() {
        // A folder opens, but is not read.
        let folder = tempfile::tempdir().unwrap();
        let text = Outgoing::new(b"a mark b".to_vec(), vec![("mark".into(), File::open(folder.path()).unwrap())]).flatten().collect::<Vec<u8>>();
        let text = String::from_utf8(text).unwrap().replace("\r\n", "");
        let middle = text.strip_prefix("a ").and_then(|text| text.strip_suffix(" b")).unwrap();
        assert_eq!(STANDARD.decode(middle).unwrap(), UNREAD);
    }
}
