//! Frames between processes, beside iceoryx2 and the bare wakes of the kernel. Each command prints one line of JSON.
//!
//! | command | what it measures |
//! |---|---|
//! | `grant` | grant, return and drain: the books alone, the whole way to N readers, iceoryx2 to N subscribers; one thread, nobody sleeps |
//! | `ping SIDE BYTES TURNS` | there and back between two processes; SIDE: `futex`, `eventfd`, `ours`, `iceoryx2`; BYTES: 64 or 12441600 |
//! | `killed SIDE COUNT` | how soon the slots of a killed reader come back; SIDE: `ours`, `iceoryx2` |
//! | `read FPS SECONDS` | CPU of a reading process per frame; FPS 0: as fast as it reads |
//! | `own PATH COUNT` | publishes at PATH, COUNT frames at once and again when all are back, until its stdin ends |
//!
//! Commands of two processes start themselves again for the other side (`echo`, `hold`, `reader`).

mod grant;
mod killed;
mod ping;
mod read;

use beamline_link::{ClientPolicy, Next, Place, Publisher, Reader, ReaderOptions};
use beamline_media::{Caps, Frame, PixelFormat, Size};
use std::{
    env,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

/// What may go wrong in a measurement ends it.
pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Nobody waits longer for anything here.
pub const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Outcome {
    let args: Vec<_> = env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["grant"] => grant::run(),
        ["ping", side, bytes, turns] => ping::run(side, bytes.parse()?, turns.parse()?),
        ["echo", side, bytes, way] => ping::echo(side, bytes.parse()?, way),
        ["killed", side, count] => killed::run(side, count.parse()?),
        ["hold", side, way] => killed::hold(side, way),
        ["read", fps, seconds] => read::run(fps.parse()?, seconds.parse()?),
        ["reader", path, seconds] => read::reader(path, seconds.parse()?),
        ["own", path, burst] => read::own(path, burst.parse()?),
        _ => Err(format!("no such command: {args:?}; see src/main.rs").into()),
    }
}

/// A folder of our own, removed with the value.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Outcome<Self> {
        let path = env::temp_dir().join(format!("beamline-bench-link-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Folder(path))
    }

    pub fn at(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// This program again, as the other side; it has said `first` when this returns. It ends with its stdin.
pub fn other_side(args: &[&str], first: &str) -> Outcome<(Child, BufReader<ChildStdout>)> {
    let mut child = Command::new(env::current_exe()?)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut out = BufReader::new(child.stdout.take().ok_or("no stdout")?);
    expect(&mut out, first)?;
    Ok((child, out))
}

/// The other side says this next.
pub fn expect(out: &mut BufReader<ChildStdout>, what: &str) -> Outcome {
    let mut line = String::new();
    out.read_line(&mut line)?;
    if line.trim() == what {
        Ok(())
    } else {
        Err(format!("expected '{what}' from the other side but received {line:?}").into())
    }
}

/// Ends with the parent, also when that is killed.
pub fn end_with_stdin() {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
}

pub fn listen(path: &str, format: PixelFormat, size: Size) -> Outcome<Publisher> {
    let caps = Caps::raw(format, size);
    Ok(Publisher::listen(Place::new(path)?, caps, true, Default::default())?)
}

pub fn join(path: &str, hold: u32) -> Outcome<Reader> {
    let pool = beamline_arena::Arena::default().pool(beamline_arena::PoolConfig::new("reader"));
    let options = ReaderOptions {
        hold,
        policy: ClientPolicy::DropOldest,
        ..ReaderOptions::default()
    };
    Ok(Reader::connect(&Place::new(path)?, &pool, options, &|| false)?)
}

/// The next frame, waited for as captures of a share wait: without a timer.
pub fn next(reader: &mut Reader) -> Outcome<Frame> {
    loop {
        match reader.next(Duration::MAX)? {
            Next::Frame(frame, _) => return Ok(frame),
            Next::Caps(_) => {}
            other => return Err(format!("expected a frame but received {other:?}").into()),
        }
    }
}
