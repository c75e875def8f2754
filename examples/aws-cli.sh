#!/usr/bin/env bash
# The quickstart's steps with Debian's own awscli, on a small data set: about a minute.
#   eval "$(build/release/holdfast env)" && examples/aws-cli.sh [DATA.jsonl]
set -euo pipefail
: "${AWS_ENDPOINT_URL:?run: eval \"\$(build/release/holdfast env)\"}"
aws() { /usr/bin/aws --endpoint-url "$AWS_ENDPOINT_URL" --cli-connect-timeout 5 "$@"; }
name=example-$(date +%s)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Data: lines of {"prompt", "completion"}.
if [ $# -gt 0 ]; then
  cp "$1" "$work/train.jsonl"
else
  for i in $(seq 1 400); do
    case $((i % 3)) in
      0) echo "{\"prompt\":\"The router in room $i drops the line.\",\"completion\":\"network\"}" ;;
      1) echo "{\"prompt\":\"Invoice $i was charged twice.\",\"completion\":\"billing\"}" ;;
      2) echo "{\"prompt\":\"I forgot the password of account $i.\",\"completion\":\"access\"}" ;;
    esac
  done >"$work/train.jsonl"
fi

aws s3api create-bucket --bucket "$name" --create-bucket-configuration "LocationConstraint=$AWS_REGION" >/dev/null
aws s3 cp "$work/train.jsonl" "s3://$name/data/train.jsonl" --no-progress
aws s3 ls "s3://$name/data/"

role=arn:aws:iam::$HOLDFAST_ACCOUNT:role/trainer
aws sagemaker create-training-job --training-job-name "$name" \
  --role-arn "$role" \
  --algorithm-specification AlgorithmName=holdfast-decoder,TrainingInputMode=File \
  --hyper-parameters "steps=${STEPS:-60},layers=2,width=64,heads=2,kv_heads=1,vocabulary=400,batch_tokens=1024" \
  --input-data-config "[{\"ChannelName\":\"train\",\"DataSource\":{\"S3DataSource\":{\"S3DataType\":\"S3Prefix\",\"S3Uri\":\"s3://$name/data/\"}}}]" \
  --output-data-config "S3OutputPath=s3://$name/out" \
  --resource-config InstanceType=ml.m5.large,InstanceCount=1,VolumeSizeInGB=1 \
  --stopping-condition MaxRuntimeInSeconds=600
while :; do
  status=$(aws sagemaker describe-training-job --training-job-name "$name" --query TrainingJobStatus --output text)
  echo "training: $status"
  case "$status" in InProgress|Stopping) sleep 2 ;; *) break ;; esac
done
[ "$status" = Completed ]
artifact=$(aws sagemaker describe-training-job --training-job-name "$name" --query ModelArtifacts.S3ModelArtifacts --output text)
echo "artifact: $artifact"

aws sagemaker create-model --model-name "$name" --execution-role-arn "$role" \
  --primary-container "ModelDataUrl=$artifact" >/dev/null
aws sagemaker create-endpoint-config --endpoint-config-name "$name" \
  --production-variants "VariantName=all,ModelName=$name,InitialInstanceCount=1,InstanceType=ml.m5.large" >/dev/null
aws sagemaker create-endpoint --endpoint-name "$name" --endpoint-config-name "$name" >/dev/null
until [ "$(aws sagemaker describe-endpoint --endpoint-name "$name" --query EndpointStatus --output text)" = InService ]; do sleep 1; done

aws sagemaker-runtime invoke-endpoint --endpoint-name "$name" --content-type application/json \
  --cli-binary-format raw-in-base64-out \
  --body '{"prompt":"The router in room 7 drops the line.","parameters":{"max_new_tokens":16}}' "$work/answer.json" >/dev/null
echo "answer: $(cat "$work/answer.json")"
aws sagemaker delete-endpoint --endpoint-name "$name"
echo "done: $name"
