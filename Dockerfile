# Built with everything, run with what serving needs: docker build -t twinwire .
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json ./
COPY src ./src
RUN node node_modules/typescript/bin/tsc -p tsconfig.json
# The servers and the second Node that tests and demo use are optional packages, which prune would keep.
RUN npm prune --omit=dev && rm -rf node_modules/pg*-linux-x64 node_modules/node24 node_modules/.bin

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist/src ./dist/src
COPY config ./config
COPY LICENSE README.md CHANGELOG.md ./
# Where the default configuration keeps its store.
RUN install -d -o node -g node twinwire-data
VOLUME /app/twinwire-data
USER node
EXPOSE 6432 9432
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch((process.env.TWINWIRE_ADMIN ?? 'http://127.0.0.1:9432') + '/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/src/main.js"]
CMD ["serve", "-c", "/etc/twinwire/twinwire.yaml"]
