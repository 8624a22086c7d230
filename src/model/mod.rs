//! The fold from events to loops, turns, registrations and their times: trace → **model** → view.
pub mod facts;
