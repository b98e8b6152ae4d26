// Users on WebSocket, messages from Kafka: the key is the user, or * for everybody; the value is pushed as it is.
//
//     node pusher.js PORT BROKERS TOPIC
'use strict'

const { WebSocketServer } = require('ws')
const { Kafka, logLevel } = require('kafkajs')

const PING_MS = 25000
const [port, brokers, topic] = process.argv.slice(2)
const users = new Map()

const server = new WebSocketServer({ port: Number(port), host: '127.0.0.1', backlog: 4096, perMessageDeflate: false })

server.on('connection', (socket, request) => {
  const user = new URL(request.url, 'http://localhost').searchParams.get('user')
  users.set(user, socket)
  socket.isAlive = true
  socket.on('pong', () => { socket.isAlive = true })
  socket.on('error', () => {})
  socket.on('close', () => { if (users.get(user) === socket) users.delete(user) })
})

setInterval(() => {
  for (const socket of server.clients) {
    if (!socket.isAlive) {
      socket.terminate()
      continue
    }
    socket.isAlive = false
    socket.ping()
  }
}, PING_MS)

function push (user, text) {
  if (user === '*') {
    for (const socket of server.clients) socket.send(text, { binary: false })
  } else {
    const socket = users.get(user)
    if (socket) socket.send(text, { binary: false })
  }
}

async function main () {
  const kafka = new Kafka({ clientId: 'peer-node', brokers: brokers.split(','), logLevel: logLevel.ERROR })
  const consumer = kafka.consumer({ groupId: 'peer-node-' + process.pid })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic] })
  await consumer.run({
    eachBatch: async ({ batch }) => {
      for (const message of batch.messages) push(message.key.toString(), message.value)
    }
  })
}

main().catch(error => {
  console.error(error)
  process.exit(1)
})
