// Sends messages with one nodemailer transport. Reads {"transport": …, "messages": […]} from standard input and writes
// one line of JSON: for each message what sendMail told, or its error.
"use strict";

const nodemailer = require("nodemailer");

async function answers(order) {
  const transport = nodemailer.createTransport(order.transport);
  const sending = order.messages.map((message) => transport.sendMail(message));
  const settled = await Promise.allSettled(sending);
  transport.close();
  return settled.map((each) => {
    if (each.status === "fulfilled") {
      return { accepted: each.value.accepted, rejected: each.value.rejected, response: each.value.response };
    }
    const { message, code, command, responseCode } = each.reason;
    return { error: message, code, command, responseCode };
  });
}

let text = "";
process.stdin.setEncoding("utf8");
process.stdin.on("data", (piece) => { text += piece; });
process.stdin.on("end", () => {
  answers(JSON.parse(text)).then((told) => {
    process.stdout.write(JSON.stringify(told) + "\n");
  });
});
