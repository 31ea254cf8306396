//! A producer whose process is gone before its owner hears what it has said.
//!
//! The test starts itself again as a producer: with `BEAMLINE_LAST_WORD_PATH` set, the process says what it has to say, and ends.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod studio;

use beamline_arena::{Arena, PoolConfig};
use beamline_link::{Place, Produced, Producer, ProducerOptions};
use beamline_media::{Caps, Rational};
use std::{
    env,
    io::Write,
    process::{Command, Stdio},
};
use studio::{SIZE, SOON, Studio, caps, fill};

const FORMATS: u32 = 500;
const NAME: &str = "what_a_producer_has_said_before_it_ended_is_heard_by_an_owner_that_was_stopped_meanwhile";

fn rated(rate: u32) -> Caps {
    Caps {
        frame_rate: Some(Rational { num: rate, den: 1 }),
        ..caps()
    }
}

fn produce(path: &str) {
    let pool = Arena::default().pool(PoolConfig::new("producer"));
    let place = Place::new(path).unwrap();
    let mut producer = Producer::connect(&place, &pool, caps(), ProducerOptions::default(), &|| false).unwrap();
    let frame = fill(&mut producer, 1, SIZE);
    producer.publish(&frame).unwrap();
    // Until the owner is stopped.
    std::io::stdin().read_line(&mut String::new()).unwrap();
    (1..=FORMATS).for_each(|rate| producer.set_caps(&rated(rate)).unwrap());
    producer.end().unwrap();
}

#[test]
fn what_a_producer_has_said_before_it_ended_is_heard_by_an_owner_that_was_stopped_meanwhile() {
    if let Ok(path) = env::var("BEAMLINE_LAST_WORD_PATH") {
        return produce(&path);
    }
    for _ in 0..10 {
        let studio = Studio::new();
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", NAME])
            .env("BEAMLINE_LAST_WORD_PATH", studio.publisher.place().path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn();
        let mut child = child.unwrap();
        drop(studio.frame());
        let stopped = studio.gate.lock().unwrap();
        child.stdin.take().unwrap().write_all(b"stopped\n").unwrap();
        assert!(child.wait().unwrap().success());
        drop(stopped);
        let mut newest = None;
        let last = loop {
            match studio.produced.recv_timeout(SOON).unwrap() {
                Produced::Caps(caps) => newest = Some(caps),
                last => break last,
            }
        };
        assert!(matches!(last, Produced::End), "{last:?}");
        assert_eq!(newest, Some(rated(FORMATS)));
    }
}
