// Replays the windows of the self-test through the model, and prints each answer. Loading runs the self-test.
import { load } from "../index.js";

const model = await load();
console.log("@model@: self-test passed");
for (const answer of model.replay()) {
  console.log(answer.label);
}
console.log("@model@: done");
