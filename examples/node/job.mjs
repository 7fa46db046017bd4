// A job that reports to Rollcall from Node, without a package.

import { setTimeout as sleep } from "node:timers/promises";

const orders = Number(process.env.ORDERS ?? 10);
const broken = Number(process.env.BROKEN ?? 4);
const dieAt = Number(process.env.DIE_AT ?? 0);

// The sidecar may listen a moment later than this program starts: until then, refused is not final.
const patientUntil = Date.now() + 5_000;

// What cannot be reported fails nothing: the answer is null then, also without Rollcall.
async function ask(path, fields) {
  if (!process.env.ROLLCALL_URL) return null;
  try {
    const answer = await fetch(process.env.ROLLCALL_URL + path, {
      method: fields ? "POST" : "GET",
      headers: { "Content-Type": "application/json" },
      body: fields ? JSON.stringify(fields) : undefined,
      signal: AbortSignal.timeout(40_000),
    });
    if (answer.ok) return await answer.json();
    console.error(`not reported: ${path}: ${await answer.text()}`);
  } catch (error) {
    if (error.cause?.code === "ECONNREFUSED" && Date.now() < patientUntil) {
      await sleep(200);
      return ask(path, fields);
    }
    console.error(`not reported: ${path}: ${error}`);
  }
  return null;
}

function work(order) {
  if (order === broken) throw new Error("no such customer");
  console.log(`order ${order}`);
}

const run = (await ask("/run?wait=30s")) ?? {};
if (process.env.ROLLCALL_URL && !run.complete) {
  console.error("where the last run stopped may not be known");
}

// Dead letters of earlier runs that somebody asked to be tried again.
for (const letter of run.requeued ?? []) {
  console.log(`again ${letter.item}`);
  await ask("/handled", { id: letter.id });
}

// Where the last run stopped, if it did not finish.
let { order, failed } = run.checkpoint?.value ?? { order: 0, failed: 0 };

while (order < orders) {
  order += 1;
  if (order === dieAt) {
    await ask("/error", { type: "crash", message: `died at order ${order}`, class: "transient" });
    process.exit(1);
  }
  try {
    work(order);
  } catch (error) {
    failed += 1;
    const letter = { item: `order-${order}`, payload: { order }, error: error.message };
    // What is neither done nor kept is not passed over: the next run begins with it.
    if (!(await ask("/dead-letter?wait=5s", letter))) process.exit(1);
  }
  await ask("/progress", { done: order, total: orders, stage: "orders", counters: { failed } });
  // With ?wait=5s the answer comes when the checkpoint is stored for good.
  await ask("/checkpoint?wait=5s", { value: { order, failed } });
}

await ask("/result", {
  result: failed ? "partial" : "succeeded",
  message: `${failed} of ${orders} orders failed`,
  counters: { failed },
});
