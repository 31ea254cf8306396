//! Every backend against the suite in `testkit`: one line per backend.
#![expect(clippy::unwrap_used, reason = "a test may fall over: that is how it fails")]

use beamline_arena::{Arena, PoolConfig, Wait};
use beamline_capture::{
    Backend, Request,
    backends::{image::Image, pattern::Pattern, shared::Shared},
};
use beamline_link::{Limits, Place, Publisher};
use beamline_media::{Caps, FrameInfo, FramePool, PixelFormat, Size};
use beamline_testkit::{capture::FakeBackend, capture_conformance};
use std::{fs, path::Path, sync::OnceLock, thread, time::Duration};

capture_conformance!(pattern, patterns);
capture_conformance!(image, images);
capture_conformance!(fake, fakes);
capture_conformance!(shared, shares);

fn requests(urls: &[String]) -> Vec<Request> {
    urls.iter().map(|url| Request::from_url(url).unwrap()).collect()
}

fn patterns() -> (Box<dyn Backend>, Vec<Request>) {
    let mut urls = Vec::new();
    for name in ["smpte", "gradient", "checkerboard", "ball", "noise", "solid"] {
        urls.push(format!("pattern:{name}?width=66&height=35"));
        urls.push(format!(
            "pattern:{name}?width=64&height=36&live=false&format=nv12&frames=20"
        ));
    }
    for format in PixelFormat::ALL {
        urls.push(format!(
            "pattern:ball?width=65&height=35&live=false&format={format}&frames=20"
        ));
    }
    urls.push("pattern:ball?width=1&height=1&live=false&format=yuyv".into());
    (Box::new(Pattern), requests(&urls))
}

fn images() -> (Box<dyn Backend>, Vec<Request>) {
    static FILES: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FILES.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        write_files(folder.path());
        folder
    });
    let at = |name: &str| format!("{}/{name}", folder.path().display());
    let raw = format!("raw:{}", at("clip.raw"));
    let urls = [
        at("clip.y4m?live=false"),
        at("clip.y4m"),
        at("clip.y4m?loop=true"),
        format!("{raw}?width=6&height=4&format=rgb24&live=false"),
        format!("{raw}?width=6&height=4&format=rgb24&loop=true"),
        at("shot%03d.png?live=false"),
        at("shot%03d.png?loop=true"),
        at("shot001.png"),
    ];
    (Box::new(Image), requests(&urls))
}

fn write_files(folder: &Path) {
    let mut y4m = b"YUV4MPEG2 W6 H4 F30:1 Ip C420jpeg\n".to_vec();
    for i in 0..12 {
        y4m.extend(b"FRAME\n");
        y4m.extend([i; 36]);
    }
    fs::write(folder.join("clip.y4m"), y4m).unwrap();
    fs::write(folder.join("clip.raw"), vec![9; 12 * 72]).unwrap();
    for i in 1..=5u8 {
        let png = [b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x10\0\0\0".as_slice(), &[8, i]].concat();
        fs::write(folder.join(format!("shot{i:03}.png")), png).unwrap();
    }
}

fn fakes() -> (Box<dyn Backend>, Vec<Request>) {
    let urls = [
        "fake:frames",
        "fake:frames?frames=5",
        "fake:packets",
        "fake:changes",
        "fake:live",
    ];
    (Box::new(FakeBackend), requests(&urls.map(Into::into)))
}

/// A share whose owner, a thread, publishes a thousand times a second for as long as the tests run.
fn shares() -> (Box<dyn Backend>, Vec<Request>) {
    static STUDIO: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = STUDIO.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        publish(&folder.path().join("studio"));
        folder
    });
    let path = folder.path().join("studio");
    // Three frames in all, one of them in a reader's hands: so many the suite holds.
    let urls = ["hold=1", "hold=1&queue=1&policy=drop-oldest"];
    let urls = urls.map(|options| format!("shared:{}?{options}", path.display()));
    (Box::new(Shared), requests(&urls))
}

fn publish(path: &Path) {
    const SIZE: Size = Size::new(64, 36);
    let place = Place::new(path.to_str().unwrap()).unwrap();
    let caps = Caps::raw(PixelFormat::I420, SIZE);
    let publisher = Publisher::listen(place, caps, true, Limits::default()).unwrap();
    let pool = FramePool::new(&Arena::default(), PoolConfig::new("studio"));
    thread::spawn(move || {
        for number in 0.. {
            let info = FrameInfo {
                timestamp_us: Some(number * 1000),
                ..FrameInfo::new(PixelFormat::I420, SIZE)
            };
            let mut frame = pool.acquire(info, Wait::Grow).unwrap();
            (0..3).for_each(|plane| frame.plane_mut(plane).0.fill(number as u8));
            publisher.publish(&frame.freeze());
            thread::sleep(Duration::from_millis(1));
        }
    });
}
