'use strict'
// Takes all mail, and keeps each message in the folder KEEP: <id>.eml as it came, <id>.json with its recipients.

const fs = require('node:fs')
const path = require('node:path')

exports.hook_mail = (next) => next(OK)
exports.hook_rcpt = (next) => next(OK)

exports.hook_queue = function (next, connection) {
  const { transaction } = connection
  const place = path.join(process.env.KEEP, transaction.uuid)
  const file = fs.createWriteStream(`${place}.part`)
  file.once('error', (error) => next(DENYSOFT, error.message))
  file.once('finish', () => {
    fs.writeFileSync(`${place}.json`, JSON.stringify(transaction.rcpt_to.map((each) => each.original)))
    fs.renameSync(`${place}.part`, `${place}.eml`)
    next(OK)
  })
  transaction.message_stream.pipe(file)
}
