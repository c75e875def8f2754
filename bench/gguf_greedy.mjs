// The greedy text of an exported model in llama.cpp and in ours: node bench/gguf_greedy.mjs PEER HOLDFAST MODEL FILE PROMPTS
// PEER: the folder of the npm package node-llama-cpp; HOLDFAST: our program, whose site runs and holds MODEL; FILE: that
// model exported as GGUF; PROMPTS: JSON lines of {"prompt"}. Prints how many answers are the same, and the first others.
import {execFileSync} from "node:child_process";
import {readFileSync} from "node:fs";

const [peer, holdfast, name, file, prompts] = process.argv.slice(2);
if (!prompts) throw new Error("expected five arguments: PEER HOLDFAST MODEL FILE PROMPTS");
const {getLlama, LlamaLogLevel} = await import(peer + "/dist/index.js");
const llama = await getLlama({gpu: false, build: "never", logLevel: LlamaLogLevel.error, maxThreads: 2});
const model = await llama.loadModel({modelPath: file});
const sequence = (await model.createContext({contextSize: 512})).getSequence();
const longest = 64;

async function theirs(prompt) {
  await sequence.clearHistory();
  const tokens = model.tokenize(`<|user|>${prompt}<|end|><|assistant|>`, true), out = [];
  for await (const token of sequence.evaluate(tokens, {temperature: 0, yieldEogToken: true})) {
    if (model.isEogToken(token)) break;
    if (out.push(token) >= longest) break;
  }
  return {text: model.detokenize(out), tokens: tokens.length};
}

let all = 0, same = 0, split = 0;
for (const line of readFileSync(prompts, "utf8").split("\n").filter((l) => l)) {
  const {prompt} = JSON.parse(line);
  const ours = JSON.parse(execFileSync(holdfast, ["chat", name, prompt, "--max-tokens", String(longest), "--json"],
                                       {stdio: ["ignore", "pipe", "ignore"]}));
  const other = await theirs(prompt);
  all += 1;
  split += ours.usage.inputTokens === other.tokens;
  if (ours.text === other.text) same += 1;
  else if (all - same <= 5) console.log(JSON.stringify({prompt, ours: ours.text, theirs: other.text}));
}
console.log(JSON.stringify({prompts: all, same_text: same, same_prompt_length: split}));
process.exit(same === all ? 0 : 1);
