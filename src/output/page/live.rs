//! The page of a run that goes on: the state that the output keeps, and those who watch it.
//!
//! The output's thread applies each event and tells the watchers once a second. It never waits for them: each watcher has
//! a short queue, and one that falls behind is given the whole document anew. What a server needs is in [`Screen`]; it
//! locks the state for as long as it takes to write a document, which delays the output's thread alone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use super::build::{self, Detail};
use super::html::{self, Network};
use super::model::Model;
use super::{Output, OutputError, json};
use crate::event::RunEvent;

/// Messages that wait for a watcher before it is given the whole document instead.
const BEHIND_MOST: usize = 4;

/// What a watcher is told.
#[derive(Clone, Debug)]
pub enum News {
    /// The whole document, `loadr/page/v1`.
    Document(Arc<str>),
    /// What changed: a document of the same shape, whose arrays by time begin at `time.from`.
    Update(Arc<str>),
    /// The run is over; this was all.
    Bye,
}

/// A run's page while the run goes on.
#[derive(Debug)]
pub struct Screen {
    model: Mutex<Model>,
    watchers: broadcast::Sender<News>,
}

/// One who watches.
#[derive(Debug)]
pub struct Watcher {
    screen: Arc<Screen>,
    /// What is told first.
    first: Option<News>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The run goes on.
    Watching(broadcast::Receiver<News>),
    /// It is over, and this is to be told.
    Over,
    /// It has been told.
    Gone,
}

impl Screen {
    /// Of a run that has not begun.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { model: Mutex::new(Model::new()), watchers: broadcast::Sender::new(BEHIND_MOST) })
    }

    /// The output that keeps it up to date.
    #[must_use]
    pub fn writer(self: &Arc<Self>) -> Box<dyn Output> {
        Box::new(Writer(self.clone()))
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        // A panic while it was held would have left some numbers out, not broken it.
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The page with what is known now; it asks its server for `events`.
    #[must_use]
    pub fn page(&self) -> String {
        let data = json(&build::document(&self.model(), &Detail::LEVELS[0]));
        html::page(&data, Network::Same)
    }

    /// The content security policy of the page, for a header.
    #[must_use]
    pub fn policy() -> String {
        html::policy(Network::Same)
    }

    /// A new watcher.
    #[must_use]
    pub fn watch(self: &Arc<Self>) -> Watcher {
        let model = self.model();
        // Nothing is told while the state is locked: the document and what follows it fit together.
        let over = model.report.is_some();
        let stage = if over { Stage::Over } else { Stage::Watching(self.watchers.subscribe()) };
        let first = News::Document(json(&build::document(&model, &Detail::LEVELS[0])).into());
        drop(model);
        Watcher { screen: self.clone(), first: Some(first), stage }
    }
}

impl Watcher {
    /// What is told next: first the whole document, at last [`News::Bye`]; none after that.
    pub async fn next(&mut self) -> Option<News> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let news = match &mut self.stage {
            Stage::Watching(news) => match news.recv().await {
                Ok(news) => news,
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    *self = self.screen.watch();
                    return self.first.take();
                }
                Err(broadcast::error::RecvError::Closed) => News::Bye,
            },
            Stage::Over => News::Bye,
            Stage::Gone => return None,
        };
        if matches!(news, News::Bye) {
            self.stage = Stage::Gone;
        }
        Some(news)
    }
}

struct Writer(Arc<Screen>);

impl Output for Writer {
    fn check(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn wants_reports(&self) -> bool {
        true
    }

    fn event(&mut self, event: &RunEvent) -> Result<(), OutputError> {
        let Screen { watchers, .. } = &*self.0;
        let mut model = self.0.model();
        let redraw = model.apply(event);
        let ended = matches!(event, RunEvent::Ended(_));
        if !redraw || watchers.receiver_count() == 0 {
            return Ok(());
        }
        // That nobody listens any more is no failure.
        if ended {
            let _ = watchers.send(News::Document(json(&build::document(&model, &Detail::LEVELS[0])).into()));
            let _ = watchers.send(News::Bye);
        } else {
            let changed = model.take_changed();
            let _ = watchers.send(News::Update(json(&build::update(&model, &changed)).into()));
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), OutputError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample;
    use super::*;

    fn tick(number: u32) -> RunEvent {
        RunEvent::Tick(Arc::new(sample::second(number)))
    }

    fn said(news: Option<News>) -> (&'static str, serde_json::Value) {
        match news.expect("there is news") {
            News::Document(text) => ("document", serde_json::from_str(&text).unwrap()),
            News::Update(text) => ("update", serde_json::from_str(&text).unwrap()),
            News::Bye => ("bye", serde_json::Value::Null),
        }
    }

    #[tokio::test]
    async fn watchers_are_told_the_whole_and_then_what_changes() {
        let screen = Screen::new();
        let mut writer = screen.writer();
        writer.event(&RunEvent::Started(Arc::new(sample::rich_report().run))).unwrap();
        writer.event(&tick(1)).unwrap();
        let mut one = screen.watch();
        writer.event(&tick(2)).unwrap();
        let mut other = screen.watch();
        let so_far = sample::rich_report();
        assert!(
            !so_far.advice.is_empty()
                && !so_far.stages.is_empty()
                && !so_far.slowest.is_empty()
                && so_far.steady.is_some()
        );
        writer.event(&RunEvent::SoFar(Arc::new(so_far))).unwrap();
        writer.event(&tick(3)).unwrap();
        writer.event(&RunEvent::Ended(Arc::new(sample::rich_report()))).unwrap();
        let (kind, document) = said(one.next().await);
        assert_eq!((kind, &document["time"]["count"], &document["live"]), ("document", &1.into(), &true.into()));
        for count in [2, 3] {
            let (kind, update) = said(one.next().await);
            assert_eq!((kind, &update["time"]["count"]), ("update", &count.into()));
            // What only a report knows is told as soon as there is one, while the run goes on.
            assert_eq!((&update["live"], &update["verdict"]["passed"]), (&true.into(), &serde_json::Value::Null));
            for part in ["advice", "stages", "slowest"] {
                assert_eq!(update[part].as_array().is_some_and(|rows| !rows.is_empty()), count == 3, "{part}");
            }
            assert_eq!(update["steady"].is_object(), count == 3);
        }
        assert_eq!(said(other.next().await).1["time"]["count"], 2);
        assert_eq!(said(other.next().await).1["time"]["count"], 3);
        for watcher in [&mut one, &mut other] {
            let (kind, last) = said(watcher.next().await);
            assert_eq!((kind, &last["live"], &last["verdict"]["passed"]), ("document", &false.into(), &false.into()));
            assert_eq!(said(watcher.next().await).0, "bye");
            assert!(watcher.next().await.is_none());
        }
        // Who comes late is given the end.
        let mut late = screen.watch();
        assert_eq!(said(late.next().await).1["live"], false);
        assert_eq!(said(late.next().await).0, "bye");
        assert!(late.next().await.is_none());
    }

    #[tokio::test]
    async fn who_falls_behind_is_given_the_whole_anew() {
        let screen = Screen::new();
        let mut writer = screen.writer();
        let mut slow = screen.watch();
        for number in 1..=20 {
            writer.event(&tick(number)).unwrap();
        }
        assert_eq!(said(slow.next().await).1["time"]["count"], 0);
        let (kind, document) = said(slow.next().await);
        assert_eq!((kind, &document["time"]["count"]), ("document", &20.into()));
        writer.event(&tick(21)).unwrap();
        let (kind, update) = said(slow.next().await);
        // Its neighbour has told what changed in the meantime, so this is no more than that.
        assert_eq!((kind, &update["time"]["from"], &update["time"]["count"]), ("update", &20.into(), &21.into()));
    }
}
