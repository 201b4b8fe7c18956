//! Events as JSON lines on standard error, for programs that show progress of their own. The
//! report goes to standard output, at the end.

use std::time::Duration;

use serde::Serialize;

use super::out;
use crate::engine::event::Event;
use crate::engine::listen::Listener;
use crate::model::duration::seconds;

#[derive(Debug)]
pub struct Json;

#[derive(Serialize)]
struct Line<'a> {
    #[serde(serialize_with = "seconds")]
    at: Duration,
    #[serde(flatten)]
    event: &'a Event,
}

impl Listener for Json {
    fn hear(&mut self, event: &Event, at: Duration) {
        if let Ok(line) = serde_json::to_string(&Line { at, event }) {
            out::json_note(&line);
        }
    }
}
