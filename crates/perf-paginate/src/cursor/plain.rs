use super::CursorCodec;
use crate::error::CursorFault;

/// No protection: anyone can read a cursor and write one.
///
/// A forged cursor can start a walk anywhere in what the request's own filter allows, so it shows nothing
/// that the request could not show. What it does show is the sort values of a row at a page boundary,
/// and it makes those values part of your interface. Use it for tools and tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

const HEADER: u8 = 0x10;

impl CursorCodec for Plain {
    fn seal(&self, payload: &[u8]) -> Vec<u8> {
        [&[HEADER], payload].concat()
    }

    fn open(&self, token: &[u8]) -> Result<Vec<u8>, CursorFault> {
        match token.split_first() {
            Some((&HEADER, payload)) => Ok(payload.to_vec()),
            Some(_) => Err(CursorFault::UnsupportedVersion),
            None => Err(CursorFault::Malformed),
        }
    }
}
