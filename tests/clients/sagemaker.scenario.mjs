import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, HeadObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import {
  CreateEndpointCommand, CreateEndpointConfigCommand, CreateModelCommand, CreateModelPackageCommand,
  CreateModelPackageGroupCommand, CreateProcessingJobCommand, CreateTrainingJobCommand, DeleteEndpointCommand,
  DeleteEndpointConfigCommand, DeleteModelCommand, DescribeEndpointCommand, DescribeEndpointConfigCommand,
  DescribeModelCommand, DescribeModelPackageCommand, DescribeTrainingJobCommand, ListEndpointsCommand, ListModelsCommand,
  ListTrainingJobsCommand, SageMakerClient, StopTrainingJobCommand, paginateListTrainingJobs, waitUntilEndpointInService,
  waitUntilTrainingJobCompletedOrStopped,
} from '@aws-sdk/client-sagemaker';

export default async (t) => {
  const sagemaker = t.client(SageMakerClient);
  const s3 = t.client(S3Client, { forcePathStyle: true });
  const name = `client-${t.scheme}-${randomBytes(4).toString('hex')}`;
  const role = `arn:aws:iam::${t.account}:role/trainer`;
  const arn = (resource) => `arn:aws:sagemaker:${t.region}:${t.account}:${resource}`;
  const invalid = (promise, message) => t.refused(promise, { name: 'ValidationException', status: 400, message });
  const wait = { client: sagemaker, maxWaitTime: 40, minDelay: 1, maxDelay: 1 }; // seconds; a second is the least there is
  const job = (TrainingJobName, more = {}, hyperparameters = {}) => ({
    TrainingJobName, RoleArn: role,
    AlgorithmSpecification: { AlgorithmName: 'holdfast-decoder', TrainingInputMode: 'File' },
    HyperParameters: { steps: '4', layers: '1', width: '64', vocabulary: '300', seed: '1', ...hyperparameters },
    InputDataConfig: [{ ChannelName: 'train',
      DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: `s3://${name}/data/`, S3DataDistributionType: 'FullyReplicated' } } }],
    OutputDataConfig: { S3OutputPath: `s3://${name}/out` },
    ResourceConfig: { InstanceType: 'ml.m5.large', InstanceCount: 1, VolumeSizeInGB: 1 },
    StoppingCondition: { MaxRuntimeInSeconds: 300 }, ...more,
  });
  const train = (...args) => sagemaker.send(new CreateTrainingJobCommand(job(...args)));
  const describe = (TrainingJobName) => sagemaker.send(new DescribeTrainingJobCommand({ TrainingJobName }));
  const until = async (what, done) => { // at most 30 s
    for (let i = 0; i < 300; ++i) {
      const found = await what();
      if (done(found)) return found;
      await sleep(100);
    }
    throw new Error('expected an end within 30 s');
  };

  await t.check('data is put into a bucket', async () => {
    await s3.send(new CreateBucketCommand({ Bucket: name, CreateBucketConfiguration: { LocationConstraint: t.region } }));
    const line = (i) => `${JSON.stringify({ prompt: `Invoice ${i} was charged twice.`, completion: 'billing' })}\n`;
    await s3.send(new PutObjectCommand({ Bucket: name, Key: 'data/train.jsonl',
      Body: Array.from({ length: 100 }, (_, i) => line(i)).join('') }));
    await s3.send(new PutObjectCommand({ Bucket: name, Key: 'broken/train.jsonl', Body: `${line(1)}${line(2)}{"prompt": "no end\n` }));
  });
  await t.check('wrong members of CreateTrainingJob are named', async () => {
    await invalid(train('wrong_name'), /TrainingJobName/i);
    await invalid(train(name, { RoleArn: 'not-an-arn-but-long-enough' }), /roleArn/i);
    await invalid(train(name, { InputDataConfig: [] }), /inputDataConfig/i);
    await invalid(train(name, { OutputDataConfig: { S3OutputPath: 's3://no-such-bucket-of-mine/out' } }), /no-such-bucket-of-mine/);
    await invalid(train(name, { Environment: { A: 'b' } }), /Environment/);
    await invalid(train(name, { AlgorithmSpecification: { AlgorithmName: 'other', TrainingInputMode: 'File' } }), /AlgorithmName/i);
    await invalid(train(name, {}, { seed: 'x' }), /seed/);
    await t.refused(describe(name), { name: 'ValidationException', status: 400 }); // none of these made it
  });
  let artifact;
  await t.check('a training job runs to its end', async () => {
    t.equal((await train(name, { Tags: [{ Key: 'team', Value: 'a' }] })).TrainingJobArn, arn(`training-job/${name}`));
    await t.refused(train(name), { name: 'ResourceInUse', status: 400 });
    await waitUntilTrainingJobCompletedOrStopped(wait, { TrainingJobName: name });
    const found = await describe(name);
    t.equal([found.TrainingJobStatus, found.SecondaryStatus, found.FailureReason], ['Completed', 'Completed', undefined]);
    t.equal(found.TrainingJobArn, arn(`training-job/${name}`));
    t.equal([found.HyperParameters.steps, found.RoleArn, found.AlgorithmSpecification.AlgorithmName], ['4', role, 'holdfast-decoder']);
    t.equal(found.InputDataConfig[0].DataSource.S3DataSource.S3Uri, `s3://${name}/data/`);
    t.equal([found.OutputDataConfig.S3OutputPath, found.StoppingCondition.MaxRuntimeInSeconds], [`s3://${name}/out`, 300]);
    t.equal(found.ResourceConfig.InstanceCount, 1);
    const times = [found.CreationTime, found.TrainingStartTime, found.TrainingEndTime];
    t.ok(times.every((at) => at instanceof Date) && times[0] <= times[1] && times[1] <= times[2], `times in order, found ${times}`);
    t.ok(found.BillableTimeInSeconds >= 1 && found.TrainingTimeInSeconds >= 1, 'seconds');
    const steps = found.SecondaryStatusTransitions.map((s) => s.Status);
    t.equal([steps.at(-1), steps.includes('Training')], ['Completed', true]);
    const loss = found.FinalMetricDataList.find((m) => m.MetricName === 'train:loss');
    t.ok(loss.Value > 0 && loss.Timestamp instanceof Date, 'the loss of the training');
    artifact = found.ModelArtifacts.S3ModelArtifacts;
    t.equal(artifact, `s3://${name}/out/${name}/output/model.tar.gz`);
    const head = await s3.send(new HeadObjectCommand({ Bucket: name, Key: artifact.slice(`s3://${name}/`.length) }));
    t.ok(head.ContentLength > 1000, 'an artifact');
  });
  await t.check('broken data fails the job, with its line in the reason', async () => {
    const InputDataConfig = [{ ChannelName: 'train',
      DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: `s3://${name}/broken/` } } }];
    await train(`${name}-broken`, { InputDataConfig });
    const found = await until(() => describe(`${name}-broken`), (f) => f.TrainingJobStatus !== 'InProgress');
    t.equal(found.TrainingJobStatus, 'Failed');
    t.ok(/line 3/.test(found.FailureReason), `line 3 in the reason, found ${found.FailureReason}`);
  });
  await t.check('a long job is stopped', async () => {
    const long = `${name}-long`;
    await train(long, {}, { steps: '1000000' });
    await until(() => describe(long), (f) => f.SecondaryStatus === 'Training' || f.TrainingJobStatus !== 'InProgress');
    await sagemaker.send(new StopTrainingJobCommand({ TrainingJobName: long }));
    const found = await until(() => describe(long), (f) => !['InProgress', 'Stopping'].includes(f.TrainingJobStatus));
    t.equal(found.TrainingJobStatus, 'Stopped');
    t.equal(found.SecondaryStatus, 'Stopped');
    await t.refused(sagemaker.send(new StopTrainingJobCommand({ TrainingJobName: 'no-such' })), { status: 400, message: /no-such/ });
  });
  await t.check('ListTrainingJobs pages, sorts and filters', async () => {
    const found = [];
    for await (const page of paginateListTrainingJobs({ client: sagemaker, pageSize: 1 },
      { NameContains: name, SortBy: 'Name', SortOrder: 'Ascending' })) {
      t.ok(page.TrainingJobSummaries.length <= 1, 'at most one a page');
      found.push(...page.TrainingJobSummaries.map((j) => [j.TrainingJobName, j.TrainingJobStatus]));
    }
    t.equal(found, [[name, 'Completed'], [`${name}-broken`, 'Failed'], [`${name}-long`, 'Stopped']]);
    const { TrainingJobSummaries: failed } = await sagemaker.send(
      new ListTrainingJobsCommand({ NameContains: name, StatusEquals: 'Failed' }));
    t.equal(failed.map((j) => j.TrainingJobName), [`${name}-broken`]);
    await invalid(sagemaker.send(new ListTrainingJobsCommand({ NextToken: 'not a token' })), /NextToken/);
    await invalid(sagemaker.send(new ListTrainingJobsCommand({ MaxResults: 1000 })), /MaxResults/i);
  });

  let packageArn;
  await t.check('a model package in its group', async () => {
    const group = await sagemaker.send(new CreateModelPackageGroupCommand({ ModelPackageGroupName: name }));
    t.equal(group.ModelPackageGroupArn, arn(`model-package-group/${name}`));
    await invalid(sagemaker.send(new CreateModelPackageGroupCommand({ ModelPackageGroupName: name })), /already/);
    const create = (more = {}) => sagemaker.send(new CreateModelPackageCommand({
      ModelPackageGroupName: name, ModelApprovalStatus: 'Approved', ModelPackageDescription: 'of a test',
      InferenceSpecification: { Containers: [{ Image: 'holdfast/decoder', ModelDataUrl: artifact }],
        SupportedContentTypes: ['application/json'], SupportedResponseMIMETypes: ['application/json'] },
      CustomerMetadataProperties: { ticket: '12' }, ...more }));
    packageArn = (await create()).ModelPackageArn;
    t.equal(packageArn, arn(`model-package/${name}/1`));
    t.equal((await create({ ModelApprovalStatus: 'PendingManualApproval' })).ModelPackageArn, arn(`model-package/${name}/2`));
    const found = await sagemaker.send(new DescribeModelPackageCommand({ ModelPackageName: packageArn }));
    t.equal([found.ModelPackageGroupName, found.ModelPackageVersion, found.ModelPackageStatus, found.ModelApprovalStatus],
      [name, 1, 'Completed', 'Approved']);
    t.equal(found.InferenceSpecification.Containers[0].ModelDataUrl, artifact);
    t.equal(found.CustomerMetadataProperties.ticket, '12');
    t.ok(/^[0-9a-f]{64}$|^sha256/.test(found.CustomerMetadataProperties['holdfast:model-digest']), 'the digest of the model');
    await invalid(create({ ModelPackageGroupName: 'no-such' }), /no-such/);
    await invalid(create({ InferenceSpecification: { Containers: [{ ModelDataUrl: `s3://${name}/data/train.jsonl` }] } }), /ModelDataUrl/);
    await invalid(sagemaker.send(new DescribeModelPackageCommand({ ModelPackageName: `${name}/9` })), /9/);
  });
  await t.check('a model from the artifact and one from the package', async () => {
    const create = (ModelName, PrimaryContainer) =>
      sagemaker.send(new CreateModelCommand({ ModelName, ExecutionRoleArn: role, PrimaryContainer }));
    t.equal((await create(name, { Image: 'holdfast/decoder', ModelDataUrl: artifact })).ModelArn, arn(`model/${name}`));
    await create(`${name}-packaged`, { ModelPackageName: packageArn });
    await invalid(create(name, { ModelDataUrl: artifact }), /already/);
    await invalid(create(`${name}-x`, { Image: 'other/image', ModelDataUrl: artifact }), /image/i);
    await invalid(create(`${name}-x`, {}), /PrimaryContainer/);
    const found = await sagemaker.send(new DescribeModelCommand({ ModelName: name }));
    t.equal([found.PrimaryContainer.ModelDataUrl, found.ExecutionRoleArn], [artifact, role]);
    const { Models } = await sagemaker.send(new ListModelsCommand({ NameContains: name, SortBy: 'Name', SortOrder: 'Ascending' }));
    t.equal(Models.map((m) => m.ModelName), [name, `${name}-packaged`]);
  });
  await t.check('an endpoint: created, in service, deleted', async () => {
    const config = (more = {}) => sagemaker.send(new CreateEndpointConfigCommand({ EndpointConfigName: name,
      ProductionVariants: [{ VariantName: 'all', ModelName: `${name}-packaged`, InitialInstanceCount: 1,
        InstanceType: 'ml.m5.large', InitialVariantWeight: 1, ...more }] }));
    await invalid(config({ ModelName: 'no-such' }), /no-such/);
    await invalid(config({ InitialInstanceCount: 2 }), /InitialInstanceCount/i);
    t.equal((await config()).EndpointConfigArn, arn(`endpoint-config/${name}`));
    t.equal((await sagemaker.send(new DescribeEndpointConfigCommand({ EndpointConfigName: name }))).ProductionVariants[0].VariantName, 'all');
    const create = (EndpointConfigName) => sagemaker.send(new CreateEndpointCommand({ EndpointName: name, EndpointConfigName }));
    await invalid(create('no-such'), /no-such/);
    t.equal((await create(name)).EndpointArn, arn(`endpoint/${name}`));
    await invalid(create(name), /already/);
    await waitUntilEndpointInService(wait, { EndpointName: name });
    const found = await sagemaker.send(new DescribeEndpointCommand({ EndpointName: name }));
    t.equal([found.EndpointStatus, found.EndpointConfigName, found.ProductionVariants[0].VariantName], ['InService', name, 'all']);
    const { Endpoints } = await sagemaker.send(new ListEndpointsCommand({ NameContains: name, StatusEquals: 'InService' }));
    t.equal(Endpoints.map((e) => e.EndpointName), [name]);
    await sagemaker.send(new DeleteEndpointCommand({ EndpointName: name }));
    await invalid(sagemaker.send(new DescribeEndpointCommand({ EndpointName: name })), /Could not find/);
    await invalid(sagemaker.send(new DeleteEndpointCommand({ EndpointName: name })), /Could not find/);
    await sagemaker.send(new DeleteEndpointConfigCommand({ EndpointConfigName: name }));
    for (const ModelName of [name, `${name}-packaged`]) await sagemaker.send(new DeleteModelCommand({ ModelName }));
    await invalid(sagemaker.send(new DescribeModelCommand({ ModelName: name })), /Could not find/);
  });
  await t.check('what is not offered says so', () => t.refused(
    sagemaker.send(new CreateProcessingJobCommand({ ProcessingJobName: 'p', RoleArn: role, AppSpecification: { ImageUri: 'x' },
      ProcessingResources: { ClusterConfig: { InstanceCount: 1, InstanceType: 'ml.m5.large', VolumeSizeInGB: 1 } } })),
    { name: 'NotImplementedException', message: /CreateProcessingJob/ }));
  await t.check('a wrong secret is refused', () => t.refused(
    t.client(SageMakerClient, { credentials: { ...t.credentials, secretAccessKey: 'wrong' } }).send(new ListModelsCommand({})),
    { name: 'InvalidSignatureException' }));
};
