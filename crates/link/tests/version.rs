//! Two builds that do not speak alike: the owner says so, by a class of its own, and serves the others on.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod false_owner;
mod raw;
mod studio;

use beamline_link::{Failure, ReaderOptions, ToClient, version};
use beamline_media::ErrorCode;
use false_owner::Owner;
use raw::{Raw, hello, hello_of_producer};
use std::{thread, time::Duration};
use studio::{Studio, caps, fill, next};

/// What the owner refuses a hello with.
fn refusal(raw: &Raw, said: &str) -> Failure {
    raw.send(said.as_bytes()).unwrap();
    let (answer, fds) = raw.message(Duration::from_secs(10)).expect("an answer");
    assert!(fds.is_empty());
    let ToClient::Refused(failure) = serde_json::from_str(&answer).unwrap() else {
        panic!("{answer}");
    };
    // Nothing else comes, but the end.
    assert!(raw.message(Duration::from_secs(10)).is_none() && raw.wait(Duration::ZERO));
    failure
}

/// Versions that are not ours: of the package, of the protocol, of the table of formats; none, and more than ours.
fn others() -> Vec<String> {
    let ours = version();
    let [package, protocol, formats] = <[&str; 3]>::try_from(ours.split('/').collect::<Vec<_>>()).unwrap();
    let next = |number: &str| number.parse::<u32>().unwrap() + 1;
    vec![
        format!("{package}/{}/{formats}", next(protocol)),
        format!("{package}/{protocol}/{}", next(formats)),
        format!("9{package}/{protocol}/{formats}"),
        String::new(),
        format!("{ours}/1"),
        ours[..ours.len() - 1].into(),
    ]
}

#[test]
fn a_hello_of_another_version_is_refused_whatever_it_wants() {
    let studio = Studio::new();
    let path = studio.publisher.place().path();
    let with = |field: &str| hello(4).replace("\"kind\"", &format!("\"{field}\":true,\"kind\""));
    let hellos = [hello(4), with("look"), with("watch"), hello_of_producer(&caps())];
    for other in others() {
        for said in &hellos {
            let said = said.replace(&version(), &other);
            let ends = [
                Raw::connect(path).unwrap(),
                Raw(studio.publisher.invite().unwrap(), path.to_owned()),
            ];
            for raw in ends {
                let failure = refusal(&raw, &said);
                assert_eq!(
                    (failure.code(), failure.reason.as_str()),
                    (ErrorCode::NotSupported, "share-version"),
                    "{said}"
                );
                let both = [format!("version {}", version()), format!("but {other} came")];
                assert!(both.iter().all(|v| failure.message.contains(v)), "{}", failure.message);
            }
        }
    }
    assert!(studio.publisher.readers().is_empty());
    // Those of this version are served as before.
    let (mut producer, mut reader) = (studio.producer(), studio.reader());
    let picture = fill(&mut producer, 7, studio::SIZE);
    producer.publish(&picture).unwrap();
    drop(studio.frame());
    assert_eq!(next(&mut reader).0.plane_bytes(0).0[0], 7);
}

#[test]
fn a_hello_of_another_version_is_told_so_though_it_says_what_we_do_not_know() {
    let studio = Studio::new();
    let path = studio.publisher.place().path();
    let other = &others()[0];
    let said = [
        hello(4).replace("drop-oldest", "drop-at-random"),
        hello(4).replace("\"hold\":4", "\"slots\":4"),
        hello(4).replace("\"queue\":4", "\"queue\":\"long\""),
        format!("{{\"kind\":\"hello\",\"version\":\"{other}\"}}"),
    ];
    for said in said {
        let theirs = refusal(&Raw::connect(path).unwrap(), &said.replace(&version(), other));
        assert_eq!(
            (theirs.code(), theirs.reason.as_str()),
            (ErrorCode::NotSupported, "share-version"),
            "{said}"
        );
        // One that says that it is of ours must speak as we do.
        let ours = refusal(&Raw::connect(path).unwrap(), &said.replace(other, &version()));
        assert_eq!(
            (ours.code(), ours.reason.as_str()),
            (ErrorCode::Data, "share-protocol"),
            "{said}"
        );
    }
}

#[test]
fn who_joins_an_owner_of_another_version_learns_that() {
    let owner = Owner::new();
    let failure = || {
        Failure::new(
            ErrorCode::NotSupported,
            "share-version",
            "use the same Beamline on both sides",
        )
    };
    let refuse = || {
        let raw = owner.accept();
        let said = serde_json::to_vec(&ToClient::Refused(failure())).unwrap();
        raw.send(&said).unwrap();
    };
    let joins: [(&str, &dyn Fn() -> beamline_link::Error); 2] = [
        ("reads", &|| owner.join(ReaderOptions::default()).unwrap_err()),
        ("fills", &|| owner.join_to_fill().unwrap_err()),
    ];
    for (who, join) in joins {
        let error = thread::scope(|scope| {
            let refusing = scope.spawn(refuse);
            let error = join();
            refusing.join().unwrap();
            error
        });
        assert_eq!(
            (error.code(), error.reason()),
            (ErrorCode::NotSupported, "share-version"),
            "who {who}"
        );
    }
}
