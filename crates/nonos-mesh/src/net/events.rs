//! Events: what happened, on its way to whoever owns the net. So many at once, and so many bytes.

use super::{EVENT_BYTES_MAX, EVENTS_MAX, Event};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Bytes of one permit.
const PERMIT_BYTES: usize = 1 << 10;

#[derive(Debug, Clone)]
pub(super) struct EventSender {
    events: mpsc::Sender<(Event, Option<OwnedSemaphorePermit>)>,
    room: Arc<Semaphore>,
}

#[derive(Debug)]
pub(super) struct EventReceiver(mpsc::Receiver<(Event, Option<OwnedSemaphorePermit>)>);

/// Nobody takes events any more.
#[derive(Debug)]
pub(super) struct Ended;

pub(super) fn channel() -> (EventSender, EventReceiver) {
    let (events, receiver) = mpsc::channel(EVENTS_MAX);
    let room = Arc::new(Semaphore::new(EVENT_BYTES_MAX / PERMIT_BYTES));
    (EventSender { events, room }, EventReceiver(receiver))
}

impl EventSender {
    /// Waits for room.
    pub(super) async fn send(&self, event: Event) -> Result<(), Ended> {
        let bytes = match &event {
            Event::Frame { frame, .. } | Event::StreamFrame { frame, .. } => frame.len(),
            _ => 0,
        };
        let permits = u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX);
        let permit = match permits {
            0 => None,
            permits => Some(self.room.clone().acquire_many_owned(permits).await.map_err(|_| Ended)?),
        };
        self.events.send((event, permit)).await.map_err(|_| Ended)
    }
}

impl EventReceiver {
    pub(super) async fn recv(&mut self) -> Option<Event> {
        self.0.recv().await.map(|(event, _)| event)
    }
}
