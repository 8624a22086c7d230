//! The library a program links: what it says of its own loop becomes events. Step: **event** → ring.
//!
//! [`state`] is the switch and the way into the thread's ring; [`batch`] records waits and handler runs for
//! [`epoll`] and [`mio`], [`asking`] waits that are no epoll's for [`poll`] and [`blocking`]; [`op`] what happens to descriptors. [`Recorder`] starts and ends a recording.

pub mod blocking;
pub mod epoll;
pub mod io;
#[cfg(feature = "mio")]
pub mod mio;
pub mod poll;
pub mod task;
pub mod timer;

mod address;
mod asking;
mod batch;
mod call;
mod connect;
mod error;
mod interest;
#[cfg(feature = "tracing")]
mod layer;
mod mark;
mod name;
mod op;
mod recorder;
mod run;
mod shared;
mod shim;
mod side;
mod site;
mod state;
mod supply;
mod traced;
mod whole;
mod writing;

pub use self::call::{call, call_on};
pub use self::error::Error;
#[cfg(feature = "tracing")]
pub use self::layer::TracingLayer;
pub use self::mark::{Span, mark};
pub use self::recorder::{Recorder, Summary};
pub use self::run::{
    DataWord, Dispatch, dispatch, dispatch_fd, dispatch_on, name_fd, name_handler, name_loop,
    on_behalf_of,
};
pub use self::state::is_on;
pub use self::supply::Supplier;
pub use crate::record::fields::Value;
