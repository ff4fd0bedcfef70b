//! A fatbin of each kernel file, made by nvcc, and a table of them: OUT_DIR/fatbins.rs. What ptxas says of registers and
//! spills stands beside each as `<stem>.ptxas.txt`.

use std::{
    env, fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use crate::{
    Result,
    sources::{self, KERNELS, Source},
};

/// Machine code for the A100 and its kin and for Hopper with its own instructions, and PTX for what comes later.
const TARGETS: [(&str, &str); 3] =
    [("compute_80", "sm_80"), ("compute_90a", "sm_90a"), ("compute_90", "compute_90")];
const FLAGS: [&str; 7] =
    ["--fatbin", "--compress-mode=size", "-std=c++17", "-O3", "-lineinfo", "-Xptxas", "-v"];

/// The first release with `--compress-mode`.
const OLDEST: (u32, u32) = (12, 8);

const MISSING: &str = "\
the feature `cuda` compiles kernels/*.cu with nvcc 12.8 or later, and there is none here. Do one of these:
  * run scripts/cuda-toolkit, which installs nvcc 13.0 into .venv of this repository (no GPU, no root needed)
  * set NVCC to an nvcc, or CUDA_HOME or CUDA_PATH to a toolkit's folder
  * put nvcc on PATH
Looked at: NVCC, CUDA_HOME, CUDA_PATH, PATH, the wheels of VIRTUAL_ENV and of .venv here and above, /usr/local/cuda, /opt/cuda.";

pub(crate) fn compile() -> Result {
    let nvcc = nvcc()?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let mut kernels = sources::product()?;
    if cfg!(feature = "naive") {
        kernels.extend(sources::naive()?);
        fs::create_dir_all(out.join("naive")).map_err(|error| error.to_string())?;
    }
    let headers = headers()?;
    in_parallel(&kernels, |source| fatbin(&nvcc, &headers, source, &out))?;

    let row = |Source { stem, .. }: &Source| {
        let path = out.join(format!("{stem}.fatbin"));
        format!("    ({stem:?}, include_bytes!({path:?})),\n")
    };
    let rows: String = kernels.iter().map(row).collect();
    let table = format!(
        "/// Kernel files and their fatbins.\npub(crate) static FATBINS: &[(&str, &[u8])] = &[\n{rows}];\n"
    );
    write(&out.join("fatbins.rs"), table.as_bytes())
}

/// Compiles one file, unless what it is made of has not changed.
fn fatbin(nvcc: &Path, headers: &[u8], source: &Source, out: &Path) -> Result {
    let product = |extension| out.join(format!("{}.{extension}", source.stem));
    let mut command = Command::new(nvcc);
    command.args(FLAGS).args(["-I", KERNELS]);
    command.args(TARGETS.map(|(arch, code)| format!("-gencode=arch={arch},code={code}")));
    command.arg("-o").arg(product("fatbin")).arg(&source.path);

    let mut made_of = DefaultHasher::new();
    (format!("{command:?}"), headers, read(&source.path)?).hash(&mut made_of);
    let made_of = made_of.finish().to_string();
    let fresh = fs::read_to_string(product("key")).is_ok_and(|key| key == made_of);
    if !fresh {
        let output = command.output().map_err(|error| format!("{}: {error}", nvcc.display()))?;
        let log = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(format!("{command:?}\n{}{log}", String::from_utf8_lossy(&output.stdout)));
        }
        write(&product("ptxas.txt"), log.as_bytes())?;
        write(&product("key"), made_of.as_bytes())?;
    }
    let log = read(&product("ptxas.txt"))?;
    for line in spills(&String::from_utf8_lossy(&log)) {
        println!("cargo::warning={}: {line}", source.path.display());
    }
    Ok(())
}

/// Lines of ptxas on stack frames and spills, where there are any.
fn spills(log: &str) -> impl Iterator<Item = &str> {
    let lines = log.lines().map(str::trim).filter(|line| line.contains("bytes stack frame"));
    lines.filter(|line| *line != "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads")
}

/// All headers in one: any kernel may include any.
fn headers() -> Result<Vec<u8>> {
    let mut headers: Vec<PathBuf> = sources::files(Path::new(KERNELS))?;
    headers.retain(|path| path.extension().is_some_and(|extension| extension == "h"));
    headers.sort();
    let texts: Vec<Vec<u8>> = headers.iter().map(|path| read(path)).collect::<Result<_>>()?;
    Ok(texts.concat())
}

/// Runs `job` on each of `sources`, as many at a time as cargo allows.
fn in_parallel(sources: &[Source], job: impl Fn(&Source) -> Result + Sync) -> Result {
    let workers = env::var("NUM_JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(1);
    let next = AtomicUsize::new(0);
    let work = || -> Result {
        while let Some(source) = sources.get(next.fetch_add(1, Ordering::Relaxed)) {
            job(source)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| "a worker panicked".to_owned())?)
    })
}

fn nvcc() -> Result<PathBuf> {
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=NVCC_CCBIN");
    if let Some(nvcc) = variable("NVCC") {
        let named = PathBuf::from(&nvcc);
        return if named.is_file() { new_enough(named) } else { Err(format!("NVCC={nvcc} is no file")) };
    }
    let toolkits = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(variable).map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let environments = variable("VIRTUAL_ENV").map(PathBuf::from).into_iter();
    let environments = environments.chain(root.ancestors().map(|folder| folder.join(".venv")));
    let places = toolkits
        .map(|toolkit| toolkit.join("bin"))
        .chain(env::split_paths(&path))
        .chain(environments.flat_map(wheels))
        .chain(["/usr/local/cuda/bin", "/opt/cuda/bin"].map(PathBuf::from));
    let mut too_old = String::new();
    for nvcc in places.map(|folder| folder.join("nvcc")).filter(|nvcc| nvcc.is_file()) {
        match new_enough(nvcc) {
            Ok(nvcc) => return Ok(nvcc),
            Err(why) => too_old += &format!("\nPassed over: {why}."),
        }
    }
    Err(format!("{MISSING}{too_old}"))
}

/// The compiler, if it knows the flags and targets.
fn new_enough(nvcc: PathBuf) -> Result<PathBuf> {
    let place = nvcc.display();
    let output =
        Command::new(&nvcc).arg("--version").output().map_err(|error| format!("{place}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let release = text.split("release ").nth(1).and_then(|rest| rest.split([',', '\n']).next());
    let parts = release.and_then(|release| release.trim().split_once('.'));
    let version = parts.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    match version {
        Some(version) if version >= OLDEST => Ok(nvcc),
        _ => {
            let found = release.map_or("of no known version", str::trim);
            Err(format!("{place} is {found}, {}.{} or later is wanted", OLDEST.0, OLDEST.1))
        }
    }
}

/// Where NVIDIA's wheels put executables in a Python environment.
fn wheels(environment: PathBuf) -> Vec<PathBuf> {
    let libraries = fs::read_dir(environment.join("lib")).into_iter().flatten().flatten();
    libraries.map(|python| python.path().join("site-packages/nvidia/cu13/bin")).collect()
}

fn variable(name: &str) -> Option<String> {
    println!("cargo::rerun-if-env-changed={name}");
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, contents: &[u8]) -> Result {
    fs::write(path, contents).map_err(|error| format!("{}: {error}", path.display()))
}
