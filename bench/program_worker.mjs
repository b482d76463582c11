// Runs one WASI program in V8; program_worker.py's docstring states the protocol.

import { createHash } from "node:crypto";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { WASI } from "node:wasi";

function cpuNanoseconds() {
    const { user, system } = process.cpuUsage();
    return (user + system) * 1000;
}

function runOnce(module, file, out, err) {
    let began = 0;
    let ended = 0;
    const files = [openSync(out, "w"), openSync(err, "w")];
    const wasi = new WASI({
        version: "preview1",
        args: [basename(file)],
        preopens: { ".": dirname(file) },
        stdout: files[0],
        stderr: files[1],
    });
    const imports = {
        wasi_snapshot_preview1: wasi.wasiImport,
        wasi_unstable: wasi.wasiImport,
        bench: { start: () => { began = cpuNanoseconds(); }, end: () => { ended = cpuNanoseconds(); } },
        env: { clock_ms: () => Math.floor(performance.now()) },
    };
    const instance = new WebAssembly.Instance(module, imports);
    if (!instance.exports._start)
        return Math.round(1e9 / instance.exports.run());
    const before = cpuNanoseconds();
    const status = wasi.start(instance);
    const after = cpuNanoseconds();
    files.forEach(closeSync);
    if (status)
        throw new Error(`exit status ${status}`);
    return Math.max(1, ended ? ended - began : after - before);
}

function expected(file, stream) {
    const path = file.replace(/\.wasm$/, `.${stream}.expected`);
    return existsSync(path) ? readFileSync(path) : null;
}

function run(file, runs, budgetMs) {
    const module = new WebAssembly.Module(readFileSync(file));
    const folder = mkdtempSync(join(tmpdir(), "bench"));
    const [out, err] = [join(folder, "stdout"), join(folder, "stderr")];
    const ns = [];
    try {
        const end = performance.now() + budgetMs;
        while (ns.length === 0 || (ns.length < runs && performance.now() < end))
            ns.push(runOnce(module, file, out, err));
        const printed = [readFileSync(out), readFileSync(err)];
        const wanted = [expected(file, "stdout"), expected(file, "stderr")];
        const matches = wanted.includes(null) ? null : wanted.every((w, i) => w.equals(printed[i]));
        return { ns, matches, printed: createHash("sha256").update(printed[0]).digest("hex") };
    } finally {
        rmSync(folder, { recursive: true });
    }
}

let result;
try {
    const [command, file, runs, budget] = process.argv.slice(2);
    result = command === "probe"
        ? { version: `V8 ${process.versions.v8} (node ${process.versions.node})` }
        : run(file, Number(runs), Number(budget));
} catch (error) {
    result = { error: String(error).slice(0, 200) };
}
console.log(JSON.stringify(result));
