//! What a subscriber of `tracing` is told.

use std::collections::HashMap;
use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use spargio::Runtime;
use spargio::io::{AsyncRead, AsyncWrite, pipe_on};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::pinned;
use crate::support::{SOON, alone, elsewhere, yield_now};

/// What it was told, as text.
#[derive(Clone, Default)]
struct Recorder(Arc<Told>);

#[derive(Default)]
struct Told {
    next: AtomicU64,
    events: Mutex<Vec<String>>,
    spans: Mutex<HashMap<u64, Span>>,
}

#[derive(Default)]
struct Span {
    fields: String,
    entered: usize,
    exited: usize,
    closed: bool,
}

#[derive(Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}

impl Recorder {
    fn with_span(&self, id: &Id, body: impl FnOnce(&mut Span)) {
        body(self.0.spans.lock().unwrap().get_mut(&id.into_u64()).unwrap());
    }

    fn has_event(&self, parts: &[&str]) -> bool {
        let events = self.0.events.lock().unwrap();
        events.iter().any(|event| parts.iter().all(|part| event.contains(part)))
    }

    fn assert_event(&self, parts: &[&str]) {
        assert!(self.has_event(parts), "{parts:?} in {:#?}", self.0.events.lock().unwrap());
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "spargio"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        span.record(&mut fields);
        let id = self.0.next.fetch_add(1, Ordering::Relaxed) + 1;
        let span = Span { fields: fields.0, ..Span::default() };
        self.0.spans.lock().unwrap().insert(id, span);
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let text = format!("{} {}", event.metadata().level(), fields.0);
        let is_bad = text.contains("bad subscriber");
        self.0.events.lock().unwrap().push(text);
        assert!(!is_bad, "a subscriber that panics");
    }

    fn enter(&self, id: &Id) {
        self.with_span(id, |span| span.entered += 1);
    }

    fn exit(&self, id: &Id) {
        self.with_span(id, |span| span.exited += 1);
    }

    fn try_close(&self, id: Id) -> bool {
        self.with_span(&id, |span| span.closed = true);
        true
    }
}

#[test]
fn a_subscriber_sees_tasks_operations_shards_panics_and_slow_polls() {
    alone(
        "observe::traced::a_subscriber_sees_tasks_operations_shards_panics_and_slow_polls",
        || {
            let recorder = Recorder::default();
            tracing::subscriber::set_global_default(recorder.clone()).unwrap();
            let builder = Runtime::builder().shards(2);
            let runtime = builder.slow_poll_threshold(Duration::from_millis(20)).build().unwrap();
            for shard in ["shard=0", "shard=1"] {
                recorder.assert_event(&["INFO", "shard started", shard]);
            }

            let (mut reader, mut writer) = pipe_on(&runtime.handle()).unwrap();
            let read = runtime.spawn_with(pinned("reads", 1), async move {
                yield_now().await;
                reader.read(Vec::with_capacity(8)).await.0.unwrap()
            });
            let read = read.unwrap();
            let id = read.id();
            let is_armed = || recorder.has_event(&["submitted", "opcode=READ", "shard=1"]);
            crate::support::wait_until("the read is armed", is_armed);
            let write = runtime.spawn_with(pinned("writes", 0), async move {
                writer.write_all(b"four".to_vec()).await.0.unwrap();
            });
            elsewhere(write.unwrap()).unwrap();
            assert_eq!(elsewhere(read).unwrap(), 4);
            recorder.assert_event(&["TRACE", "completed", "opcode=READ", "shard=1", "result=4"]);

            let slow = runtime.spawn_with(pinned("slow", 0), async {
                thread::sleep(Duration::from_millis(30));
            });
            elsewhere(slow.unwrap()).unwrap();
            let bad: spargio::JoinHandle<()> =
                runtime.spawn_with(pinned("bad", 0), async { panic!("bad subscriber") }).unwrap();
            assert!(elsewhere(bad).is_err());
            assert_eq!(elsewhere(runtime.spawn_on(0u16, async { 9 }).unwrap()).unwrap(), 9);
            drop(runtime.shutdown_timeout(SOON));

            recorder.assert_event(&["WARN", "slow poll", "name=\"slow\"", "shard=0", "micros="]);
            recorder.assert_event(&["ERROR", "task panicked", "name=\"bad\"", "shard=0"]);
            for shard in ["shard=0", "shard=1"] {
                recorder.assert_event(&["INFO", "shard stopped", shard]);
            }
            let spans = recorder.0.spans.lock().unwrap();
            let task = spans.values().find(|span| span.fields.contains("name=\"reads\"")).unwrap();
            assert!(task.fields.contains(&format!("id={id} ")), "{}", task.fields);
            assert!(task.fields.contains("shard=1 "), "{}", task.fields);
            assert!(task.entered >= 3, "one for each poll: {}", task.entered);
            for span in spans.values() {
                assert_eq!((span.entered, span.closed), (span.exited, true), "{}", span.fields);
            }
        },
    );
}
