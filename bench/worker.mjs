// One measurement in V8; worker.py's docstring states the protocol.
//
//     node [FLAGS] worker.mjs probe|probe-module
//     node [FLAGS] worker.mjs run FILE N CALLS BUDGET_MS
//     node [FLAGS] worker.mjs validate FILE CALLS BUDGET_MS
//     node [FLAGS] worker.mjs start|compile|instantiate ...    as embed.c does it

import { readFileSync } from "node:fs";

function cpuNanoseconds() {
    const { user, system } = process.cpuUsage();
    return (user + system) * 1000;
}

function bestOf(call, calls, budgetMs) {
    let ns = Infinity;
    let done = 0;
    let result;
    const end = performance.now() + budgetMs;
    while (done === 0 || (done < calls && performance.now() < end)) {
        const start = cpuNanoseconds();
        result = call();
        ns = Math.min(ns, cpuNanoseconds() - start);
        done++;
    }
    return { ns, calls: done, result };
}

function run(file, n, calls, budgetMs) {
    const module = new WebAssembly.Module(readFileSync(file));
    const { kernel } = new WebAssembly.Instance(module, {}).exports;
    const { result, ...times } = bestOf(() => kernel(n), calls, budgetMs);
    return { ...times, checksum: Number(BigInt.asUintN(32, BigInt(result))) };
}

function statusBytes(field) {
    const text = readFileSync("/proc/self/status", "utf8");
    return Number(text.match(new RegExp(`^${field}:\\s+(\\d+)`, "m"))[1]) * 1024;
}

function validate(file, calls, budgetMs) {
    const bytes = readFileSync(file);
    const before = process.platform === "linux" ? statusBytes("VmHWM") : 0;
    if (!WebAssembly.validate(bytes))
        return { error: "refused by this version" };
    const memory = process.platform === "linux" ? statusBytes("VmHWM") - before : null;
    const { result, ...times } = bestOf(() => WebAssembly.validate(bytes), calls, budgetMs);
    return { ...times, memory };
}

function start(file) {
    const module = new WebAssembly.Module(readFileSync(file));
    return new WebAssembly.Instance(module, {}).exports.add(40, 2);
}

function compile(file, calls, budgetMs) {
    const bytes = readFileSync(file);
    const { result, ...times } = bestOf(() => new WebAssembly.Module(bytes), calls, budgetMs);
    return times;
}

// Something of the type that is wanted, as far as the modules that are measured want it.
function imitate(kind) {
    switch (kind) {
    case "function":
        return () => { throw new Error("not to be called"); };
    case "memory":
        return new WebAssembly.Memory({ initial: 256 });
    case "table":
        return new WebAssembly.Table({ initial: 1000, element: "anyfunc" });
    default:
        return new WebAssembly.Global({ value: "i32" }, 0);
    }
}

function instantiate(file, calls, budgetMs) {
    const module = new WebAssembly.Module(readFileSync(file));
    const imports = {};
    for (const { module: from, name, kind } of WebAssembly.Module.imports(module))
        (imports[from] ??= {})[name] = imitate(kind);
    const all = [];
    const end = performance.now() + budgetMs;
    while (all.length === 0 || (all.length < calls && performance.now() < end)) {
        const began = process.hrtime.bigint();
        const instance = new WebAssembly.Instance(module, imports);
        all.push(Number(process.hrtime.bigint() - began));
        if (!instance.exports)
            throw new Error("no exports");
    }
    all.sort((a, b) => a - b);
    return { ns: all[0], median: all[all.length >> 1], calls: all.length };
}

function answer(command, file, ...numbers) {
    switch (command) {
    case "probe":
    case "probe-module":
        return { version: `V8 ${process.versions.v8} (node ${process.versions.node})` };
    case "start":
        return start(file);
    case "compile":
        return compile(file, ...numbers.map(Number));
    case "instantiate":
        return instantiate(file, ...numbers.map(Number));
    case "run":
        return run(file, ...numbers.map(Number));
    default:
        return validate(file, ...numbers.map(Number));
    }
}

let result;
try {
    result = answer(...process.argv.slice(2));
} catch (error) {
    result = { error: String(error).slice(0, 200) };
}
console.log(JSON.stringify(result));
