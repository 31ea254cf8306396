//! Turns what ffmpeg-sys-next found into cfgs of ours: `ffmpeg_6_0` and so on, each meaning "that version or newer".

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for version in ["5_1", "6_0", "6_1", "7_0", "7_1", "8_0", "9_0"] {
        println!("cargo:rustc-check-cfg=cfg(ffmpeg_{version})");
        // The variable is there but empty for what is not: only "true" counts (build-and-border.md, trap 4).
        let found = std::env::var(format!("DEP_FFMPEG_FFMPEG_{version}"));
        if found.as_deref() == Ok("true") {
            println!("cargo:rustc-cfg=ffmpeg_{version}");
        }
    }
}
