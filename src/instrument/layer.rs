//! A `tracing` layer: spans and events become spans and marks on the timeline. Step: **event** → ring.
//!
//! A request id that a program already logs then stands beside the handler that served it.

use std::fmt;

use tracing_core::field::{Field, Visit};
use tracing_core::{Event, Subscriber, span};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::{mark, state};
use crate::record::event::Kind;
use crate::record::fields::{Fields, Value};
use crate::record::stack_text::StackText;

/// Records a program's `tracing` spans from their creation to their close, and its events as marks.
///
/// A span keeps its name, fields and parent; fields recorded later become a mark of the span's name. An event is a mark
/// named by its target, with its message as the field `message`. Nothing is formatted while no recorder is on.
///
/// ```
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let subscriber = tracing_subscriber::registry().with(loopscope::TracingLayer::new());
/// tracing::subscriber::with_default(subscriber, || {
///     let _request = tracing::info_span!("request", id = 12).entered();
///     tracing::info!(bytes = 512, "parsed");
/// });
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingLayer(());

impl TracingLayer {
    /// The layer; it has no settings, filter it as any other.
    ///
    /// ```
    /// let _layer = loopscope::TracingLayer::new();
    /// ```
    pub const fn new() -> Self {
        TracingLayer(())
    }
}

/// What a span of ours is known by, kept among the span's extensions.
struct Known(u64);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for TracingLayer {
    fn on_new_span(
        &self,
        attributes: &span::Attributes<'_>,
        id: &span::Id,
        context: Context<'_, S>,
    ) {
        if !state::is_on() {
            return;
        }
        let Some(span) = context.span(id) else { return };
        let parent = span
            .parent()
            .and_then(|p| p.extensions().get::<Known>().map(|known| known.0))
            .unwrap_or(0);
        let number = mark::next_span();
        span.extensions_mut().insert(Known(number));
        let mut fields = Collect(Fields::new());
        attributes.record(&mut fields);
        let name = attributes.metadata().name();
        mark::push(Kind::SpanBegin, name, number, Some(parent), &fields.0, None);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        if !state::is_on() {
            return;
        }
        let Some(span) = context.span(id) else { return };
        let mut fields = Collect(Fields::new());
        values.record(&mut fields);
        mark::push(Kind::Mark, span.name(), 0, None, &fields.0, None);
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if !state::is_on() {
            return;
        }
        let mut fields = Collect(Fields::new());
        event.record(&mut fields);
        mark::push(
            Kind::Mark,
            event.metadata().target(),
            0,
            None,
            &fields.0,
            None,
        );
    }

    fn on_close(&self, id: span::Id, context: Context<'_, S>) {
        if !state::is_on() {
            return;
        }
        let Some(span) = context.span(&id) else {
            return;
        };
        let number = span.extensions().get::<Known>().map(|known| known.0);
        if let Some(number) = number {
            mark::ended(span.name(), number);
        }
    }
}

/// Collects a span's or event's fields on the stack.
struct Collect(Fields);

impl Visit for Collect {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.add(field.name(), Value::F64(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.add(field.name(), Value::I64(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.add(field.name(), Value::U64(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.add(field.name(), Value::Bool(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.add(field.name(), Value::Str(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = StackText::new();
        // Writing to a StackText cannot fail; a value whose own formatting fails is recorded as far as it came.
        let _ = fmt::Write::write_fmt(&mut text, format_args!("{value:?}"));
        self.0.add(field.name(), Value::Str(text.as_str()));
    }
}
